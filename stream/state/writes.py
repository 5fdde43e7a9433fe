"""What a commit writes, as data: fifteen operations that every store interprets.

A key is named without the prefix of its partition (`contracts.keys`), so all keys of a commit lie in one slot
of a Redis Cluster. A lifetime of 0 s leaves the key's lifetime as it is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

Value = str | bytes | int | float
Keyed = tuple[str, int]
"""A key and its lifetime in seconds."""


class Write:
    """One operation. `CODE` is its number in `commit.lua`."""

    __slots__ = ()
    CODE: ClassVar[int]
    HOLDS: ClassVar[str]
    """What its keys must hold, as Redis' TYPE says it, if they hold anything; empty for whatever."""

    @property
    def keys(self) -> Sequence[str]:
        """All keys it writes."""
        raise NotImplementedError

    def encode(self) -> list[Any]:
        """The operation as a list of plain values for MessagePack, its code first."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class KeyWrite(Write):
    """An operation on one key."""

    key: str

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return [self.key]


@dataclass(frozen=True, slots=True)
class AddToHashes(Write):
    """Add to the same fields of some hashes. A sum stops at `contracts.numbers.MAX_SUM_MINOR`."""

    hashes: Sequence[Keyed]
    changes: Mapping[str, int]

    CODE: ClassVar[int] = 1
    HOLDS: ClassVar[str] = "hash"

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return [key for key, _ in self.hashes]

    def encode(self) -> list[Any]:
        """See `Write`."""
        flat = [x for keyed in self.hashes for x in keyed]
        return [self.CODE, flat, list(self.changes), list(self.changes.values())]


@dataclass(frozen=True, slots=True)
class SetInHash(KeyWrite):
    """Set fields of a hash."""

    values: Mapping[str, Value]
    ttl_s: int = 0

    CODE: ClassVar[int] = 2
    HOLDS: ClassVar[str] = "hash"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, [x for item in self.values.items() for x in item], self.ttl_s]


@dataclass(frozen=True, slots=True)
class RemoveFromHash(KeyWrite):
    """Remove fields of a hash."""

    names: Collection[str]

    CODE: ClassVar[int] = 3
    HOLDS: ClassVar[str] = "hash"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.names)]


@dataclass(frozen=True, slots=True)
class PutBlobs(Write):
    """Put a blob under each key, whatever the key held."""

    blobs: Mapping[str, bytes]
    ttl_s: int

    CODE: ClassVar[int] = 4
    HOLDS: ClassVar[str] = ""

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return list(self.blobs)

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, list(self.blobs), list(self.blobs.values()), self.ttl_s]


@dataclass(frozen=True, slots=True)
class DeleteKeys(Write):
    """Delete keys, whatever they hold."""

    deleted: Sequence[str]

    CODE: ClassVar[int] = 5
    HOLDS: ClassVar[str] = ""

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return list(self.deleted)

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, list(self.deleted)]


@dataclass(frozen=True, slots=True)
class RaiseScores(KeyWrite):
    """Add to scores of a sorted set, and keep only the `keep` highest members (0: all)."""

    changes: Mapping[str, float]
    ttl_s: int = 0
    keep: int = 0

    CODE: ClassVar[int] = 6
    HOLDS: ClassVar[str] = "zset"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.changes), list(self.changes.values()), self.ttl_s, self.keep]


@dataclass(frozen=True, slots=True)
class SetScores(KeyWrite):
    """Set scores of members of a sorted set, then drop members with a score below `lowest` (0: none)."""

    scores: Mapping[str, float]
    lowest: float = 0
    ttl_s: int = 0

    CODE: ClassVar[int] = 7
    HOLDS: ClassVar[str] = "zset"

    def encode(self) -> list[Any]:
        """See `Write`."""
        flat = [x for member, score in self.scores.items() for x in (score, member)]
        return [self.CODE, self.key, flat, self.lowest, self.ttl_s]


@dataclass(frozen=True, slots=True)
class RemoveMembers(KeyWrite):
    """Remove members of a sorted set."""

    members: Collection[str]

    CODE: ClassVar[int] = 8
    HOLDS: ClassVar[str] = "zset"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.members)]


@dataclass(frozen=True, slots=True)
class AddToSet(KeyWrite):
    """Add members to a set."""

    members: Collection[str]
    ttl_s: int = 0

    CODE: ClassVar[int] = 9
    HOLDS: ClassVar[str] = "set"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.members), self.ttl_s]


@dataclass(frozen=True, slots=True)
class RemoveFromSet(KeyWrite):
    """Remove members of a set."""

    members: Collection[str]

    CODE: ClassVar[int] = 10
    HOLDS: ClassVar[str] = "set"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.members)]


@dataclass(frozen=True, slots=True)
class AppendToList(KeyWrite):
    """Append values to a list, of which the newest `keep` stay (0: all)."""

    values: Sequence[Value]
    keep: int
    ttl_s: int = 0

    CODE: ClassVar[int] = 11
    HOLDS: ClassVar[str] = "list"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, list(self.values), self.keep, self.ttl_s]


@dataclass(frozen=True, slots=True)
class AppendToStream(KeyWrite):
    """Append entries to a stream, of which about the newest `keep` stay (0: all)."""

    entries: Sequence[Mapping[str, Value]]
    keep: int = 0
    ttl_s: int = 0

    CODE: ClassVar[int] = 12
    HOLDS: ClassVar[str] = "stream"

    def encode(self) -> list[Any]:
        """See `Write`."""
        flat = [[x for item in entry.items() for x in item] for entry in self.entries]
        return [self.CODE, self.key, flat, self.keep, self.ttl_s]


@dataclass(frozen=True, slots=True)
class Expire(Write):
    """Give keys a lifetime from now on, whatever they hold."""

    expiring: Sequence[str]
    ttl_s: int

    CODE: ClassVar[int] = 13
    HOLDS: ClassVar[str] = ""

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return list(self.expiring)

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, list(self.expiring), self.ttl_s]


@dataclass(frozen=True, slots=True)
class SetInHashes(Write):
    """Set a field in each of many hashes; a hash may come several times."""

    hashes: Sequence[str]
    names: Sequence[str]
    values: Sequence[Value]
    ttl_s: int = 0

    CODE: ClassVar[int] = 14
    HOLDS: ClassVar[str] = "hash"

    @property
    def keys(self) -> list[str]:
        """See `Write`."""
        return list(self.hashes)

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.hashes, self.names, self.values, self.ttl_s]


@dataclass(frozen=True, slots=True)
class KeepHighest(KeyWrite):
    """Keep the `keep` highest members of a sorted set, and drop of the others the lowest, `most` at a time.

    With each goes the key whose name is `start` and the member, whatever it holds.
    """

    keep: int
    start: str
    most: int

    CODE: ClassVar[int] = 15
    HOLDS: ClassVar[str] = "zset"

    def encode(self) -> list[Any]:
        """See `Write`."""
        return [self.CODE, self.key, self.keep, self.start, self.most]


OPERATIONS: tuple[type[Write], ...] = (
    AddToHashes, SetInHash, RemoveFromHash, PutBlobs, DeleteKeys, RaiseScores, SetScores,
    RemoveMembers, AddToSet, RemoveFromSet, AppendToList, AppendToStream, Expire,
    SetInHashes, KeepHighest,
)  # fmt: skip
"""All of them, in the order of their codes."""
