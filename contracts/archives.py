"""What an archive tells the installation of itself: its record in Redis."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson


class Clearance(NamedTuple):
    """A deleted visitor who was cleared from all files of an archive.

    `files` were searched, `removed` are the rows that went, `left` those that a second search found; `at_ms`
    is when it was done.
    """

    files: int
    removed: int
    left: int
    at_ms: int


class ArchiveState(NamedTuple):
    """An archive. `deletions` are the next offsets of those that it is clear of, a number per partition.

    `cleared` are the newest of them by the visitor's digest. `seen_ms` is when its process last told.
    """

    archive_id: str
    location: str
    seen_ms: int
    rows: int
    deletions: tuple[int, ...]
    cleared: Mapping[str, Clearance]

    def is_clear_of(self, partition: int, offset: int) -> bool:
        """Whether the deletion whose record this is has been applied to every file."""
        return partition < len(self.deletions) and self.deletions[partition] > offset


def encode_archive(state: ArchiveState) -> bytes:
    """The record as JSON."""
    cleared = {digest: tuple(one) for digest, one in state.cleared.items()}
    return orjson.dumps({**state._asdict(), "cleared": cleared})


def decode_archive(raw: bytes) -> ArchiveState:
    """The archive in a record; raises `ValueError`, `KeyError` or `TypeError` if it is none."""
    fields: dict[str, Any] = orjson.loads(raw)
    cleared = {digest: Clearance(*one) for digest, one in fields.pop("cleared").items()}
    deletions = tuple(int(offset) for offset in fields.pop("deletions"))
    return ArchiveState(**fields, deletions=deletions, cleared=cleared)
