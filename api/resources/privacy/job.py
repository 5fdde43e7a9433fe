"""One deletion of a visitor: how far it is, and its fields in Redis."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from contracts.archives import Clearance


class JobStatus(StrEnum):
    """pending -> removing -> done."""

    PENDING = "pending"
    """Kafka has the record, or will be asked for it again; the worker has not applied it yet."""
    REMOVING = "removing"
    """The visitor's state is gone and stays away; traces elsewhere are being removed."""
    DONE = "done"
    """All keys and values were searched, and nothing was left."""


class DeletionJob(NamedTuple):
    """A deletion. Times are epoch ms, None for what has not happened yet.

    `user_id` is there until it is done. `offset` is that of the record in the visitor's partition of the
    deletions, `cut_ms` up to when events are kept out, `outbox_mark` the last entry of the partition's outbox
    when the state was gone. `removed` counts what was removed by kind, `remaining` the places where the last
    search found the id. `returned` says that the visitor has acted since: what is found then is new.
    `parts` are the deletions of the ids that were linked to this one: it is done when they are. `archives`
    has what each archive of events did, by its location.
    """

    deletion_id: str
    digest: str
    partition: int
    requested_ms: int
    user_id: str | None
    offset: int | None = None
    recorded_ms: int | None = None
    removed_ms: int | None = None
    cut_ms: int | None = None
    outbox_mark: str | None = None
    scrubbed_ms: int | None = None
    done_ms: int | None = None
    removed: Mapping[str, int] = {}
    remaining: int | None = None
    returned: bool = False
    parts: tuple[str, ...] = ()
    archives: Mapping[str, Clearance | None] = {}

    @property
    def status(self) -> JobStatus:
        """How far it is."""
        if self.done_ms is not None:
            return JobStatus.DONE
        return JobStatus.PENDING if self.removed_ms is None else JobStatus.REMOVING

    def add_removed(self, counts: Mapping[str, int]) -> dict[str, int]:
        """What was removed, with these counts; kinds of which nothing was found are left out."""
        kinds = self.removed.keys() | counts.keys()
        sums = {kind: self.removed.get(kind, 0) + counts.get(kind, 0) for kind in sorted(kinds)}
        return {kind: number for kind, number in sums.items() if number}


_NUMBERS = frozenset(
    ("partition", "requested_ms", "offset", "recorded_ms", "removed_ms", "cut_ms", "scrubbed_ms", "done_ms",
     "remaining")
)  # fmt: skip


def to_fields(changes: Mapping[str, Any]) -> dict[str, str | bytes]:
    """Fields of the hash in Redis for some of the job's; None is not stored."""
    fields: dict[str, str | bytes] = {}
    for name, value in changes.items():
        if name == "removed":
            fields[name] = orjson.dumps(dict(value))
        elif name == "archives":
            if value:
                fields[name] = orjson.dumps({where: one and tuple(one) for where, one in value.items()})
        elif name == "parts":
            if value:
                fields[name] = " ".join(value)
        elif name == "returned":
            fields[name] = "1" if value else "0"
        elif value is not None:
            fields[name] = str(value)
    return fields


def from_fields(fields: Mapping[bytes, bytes]) -> DeletionJob:
    """The job in a hash; raises `KeyError` or `ValueError` if it is none."""
    texts = {name.decode(): value.decode() for name, value in fields.items()}
    values: dict[str, Any] = {name: int(text) for name, text in texts.items() if name in _NUMBERS}
    return DeletionJob(
        deletion_id=texts["deletion_id"],
        digest=texts["digest"],
        user_id=texts.get("user_id"),
        outbox_mark=texts.get("outbox_mark"),
        removed=orjson.loads(texts.get("removed", "{}")),
        returned=texts.get("returned") == "1",
        parts=tuple(texts.get("parts", "").split()),
        archives={
            where: one and Clearance(*one) for where, one in orjson.loads(texts.get("archives", "{}")).items()
        },
        **values,
    )
