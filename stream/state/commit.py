"""The atomic commit: what one partition's batch writes, and what the store says to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from contracts.numbers import MAX_SUM_MINOR
from stream.state.writes import Value, Write

NO_OFFSET = -1
"""Stored offset of a topic nothing was ever applied of."""


class CommitStatus(StrEnum):
    """The store's answer to a commit. Only after the first two is the batch in the store."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """These very offsets are stored already: an earlier try arrived although its answer did not."""
    FENCED = "fenced"
    """A newer owner has claimed the partition."""
    BEHIND = "behind"
    """The stored epoch is older than ours: Redis came back with an older state."""
    GAP = "gap"
    """The stored offsets are not those the batch starts from."""
    CONFLICT = "conflict"
    """A key holds something else than what is to be written, so nothing was."""


class Conflict(RuntimeError):
    """A key holds something else than it should: somebody else wrote it.

    `partitions` are those concerned with the reason for each; `statuses` the answers to all commits that were
    sent together.
    """

    def __init__(
        self, message: str, partitions: Mapping[int, str] | None = None, statuses: Sequence[CommitStatus] = ()
    ) -> None:
        super().__init__(message)
        self.partitions = dict(partitions or {})
        self.statuses = list(statuses)


class WrongType(NamedTuple):
    """In place of a blob: its key holds another type than a string."""

    holds: str


class ClaimRead(NamedTuple):
    """What to read of a partition with its claim: a hash, a blob, or of a sorted set a score or its size."""

    key: str
    holds: Literal["hash", "blob", "lowest", "highest", "size"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a partition's new owner finds; a topic nothing was applied of is not among `offsets`.

    `found` has what was read with the claim by its key: of a hash the fields as text, of a sorted set the
    lowest or highest score or None, or the number of members, of a blob its bytes or None. The hash `meta` is
    always there.
    """

    epoch: int
    offsets: Mapping[str, int] = field(default_factory=dict)
    max_event_ms: int = 0
    broker_ms: int = 0
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Commit:
    """One partition's batch, ready to be written.

    `offsets` has, for every topic of the partition, the stored next offset it starts from and the next offset
    after it; they are equal for a topic without records in the batch. `marks` are fields of the meta hash
    that are set together with the offsets, after everything else.
    """

    partition: int
    epoch: int
    offsets: Mapping[str, tuple[int, int]]
    writes: Sequence[Write] = ()
    marks: Mapping[str, Value] = field(default_factory=dict)


def encode_commit(commit: Commit) -> dict[str, Any]:
    """The commit as the plain map that `commit.lua` reads."""
    marks: dict[str, Value] = {
        f"off:{topic}": end for topic, (start, end) in commit.offsets.items() if start != end
    }
    marks |= commit.marks
    return {
        "epoch": commit.epoch,
        "topics": [f"off:{topic}" for topic in commit.offsets],
        "starts": [start for start, _ in commit.offsets.values()],
        "ends": [end for _, end in commit.offsets.values()],
        "marks": [x for item in marks.items() for x in item] or ["epoch", commit.epoch],
        "writes": [write.encode() for write in commit.writes],
    }


def make_claim(meta: Mapping[str, str], found: Mapping[str, Any]) -> Claim:
    """The claim of a partition whose meta hash is this, its epoch raised already.

    Raises `ValueError` for what is no number, or one that we never write.
    """
    return Claim(
        epoch=int(meta["epoch"]),
        offsets={
            name[4:]: _number(value, NO_OFFSET) for name, value in meta.items() if name.startswith("off:")
        },
        max_event_ms=_number(meta.get("max_event_ms", "0")),
        broker_ms=_number(meta.get("broker_ms", "0")),
        found=dict(found) | {"meta": meta},
    )


def _number(text: str, lowest: int = 0) -> int:
    number = int(text)
    if not lowest <= number <= MAX_SUM_MINOR:
        raise ValueError(f"expected a number from {lowest} to 2**53")
    return number
