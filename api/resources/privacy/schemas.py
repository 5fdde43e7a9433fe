"""What `/v1/privacy/deletions` takes and answers."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.resources.privacy.job import DeletionJob, JobStatus
from contracts.archives import Clearance
from contracts.fields import MAX_ID_CHARS
from readers.answers import Answer
from readers.intervals import maybe_datetime, to_datetime

_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_BLANK = r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_ID = f"^[^{_CONTROL}]*[^{_CONTROL}{_BLANK}][^{_CONTROL}]*$(?!\\n)"
"""Not blank, and no control characters: what the event contract, which decides, says of ids.

In Python a dollar sign matches before a last line feed too.
"""
_EXAMPLE: dict[str, Any] = {
    "deletion_id": "0f4c5d1e9a6b4f0c8e7d2a3b4c5d6e7f",
    "status": "done",
    "requested_at": "2025-10-09T08:53:20.250Z",
    "recorded_at": "2025-10-09T08:53:20.291Z",
    "removed_at": "2025-10-09T08:53:20.502Z",
    "done_at": "2025-10-09T08:53:22.114Z",
    "removed": {"alert_steps": 2, "state": 1},
    "remaining": 0,
    "parts": [],
    "archives": [
        {
            "location": "s3://shop/archive",
            "files_searched": 412,
            "rows_removed": 87,
            "rows_left": 0,
            "cleared_at": "2025-10-09T08:53:21.730Z",
        }
    ],
    "returned": False,
}


class DeletionRequest(BaseModel):
    """The visitor to delete."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"user_id": "visitor-17"}]})

    user_id: Annotated[str, Field(strict=True, min_length=1, max_length=MAX_ID_CHARS)] = Field(
        description="As in the events", json_schema_extra={"pattern": _ID}
    )


class ArchiveClearance(Answer):
    """What an archive of events did for a deletion: its files were searched, and written anew without it."""

    location: str
    files_searched: int | None = Field(description="null: known to be clear, but not of how many files")
    rows_removed: int | None
    rows_left: int | None = Field(description="Rows that a second search of the changed files found")
    cleared_at: datetime | None


class Deletion(Answer):
    """Progress of a deletion. It never names the visitor."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    deletion_id: str
    status: JobStatus = Field(
        description="pending: recorded, not applied yet; removing: the state is gone and stays away, other "
        "traces are being removed; done: everything was searched and nothing is left"
    )
    requested_at: datetime
    recorded_at: datetime | None = Field(description="Kafka has acknowledged the record")
    removed_at: datetime | None = Field(description="A worker has removed the state")
    done_at: datetime | None
    removed: dict[str, int] = Field(description="What was removed, by kind; only kinds that were found")
    remaining: int = Field(description="Redis keys in which the last search still found the id")
    parts: list[str] = Field(description="Deletions of the ids that were linked to this one; done before it")
    archives: list[ArchiveClearance] = Field(
        description="Once it is done: the archives of events, each of which is clear of the visitor"
    )
    returned: bool = Field(description="The visitor has acted since the deletion and is known again")


def to_deletion(job: DeletionJob) -> Deletion:
    """The answer for a deletion."""
    return Deletion(
        deletion_id=job.deletion_id,
        status=job.status,
        requested_at=to_datetime(job.requested_ms),
        recorded_at=maybe_datetime(job.recorded_ms),
        removed_at=maybe_datetime(job.removed_ms),
        done_at=maybe_datetime(job.done_ms),
        removed=dict(job.removed),
        remaining=job.remaining or 0,
        parts=list(job.parts),
        archives=[_to_clearance(where, one) for where, one in sorted(job.archives.items())],
        returned=job.returned,
    )


def _to_clearance(location: str, clearance: Clearance | None) -> ArchiveClearance:
    if clearance is None:
        return ArchiveClearance(
            location=location, files_searched=None, rows_removed=None, rows_left=None, cleared_at=None
        )
    files, removed, left, at_ms = clearance
    return ArchiveClearance(
        location=location,
        files_searched=files,
        rows_removed=removed,
        rows_left=left,
        cleared_at=to_datetime(at_ms),
    )
