"""What the memory store holds: the keys of each partition, in containers that are like those of Redis."""

from typing import Any, TypeVar

from contracts.key_families import META
from stream.state.writes import Value


class Hash(dict[str, Any]):
    """A hash: fields as text, blobs as bytes."""


class SortedSet(dict[str, float]):
    """A sorted set: members to scores."""


class Stream(list[tuple[str, dict[str, Value]]]):
    """A stream: ids and entries."""

    newest = 0
    """Number of the newest id that was given."""


TYPES: dict[str, type] = {"hash": Hash, "zset": SortedSet, "set": set, "list": list, "stream": Stream}
"""Type of a key as Redis says it to what holds its value."""
K = TypeVar("K")


class MemoryPartition:
    """The keys of one partition, without its prefix, and what they hold."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def hash(self, key: str) -> Hash:
        """A hash; empty if there is none."""
        return self._of(key, Hash)

    def scores(self, key: str) -> SortedSet:
        """A sorted set; empty if there is none."""
        return self._of(key, SortedSet)

    def stream(self, key: str) -> Stream:
        """A stream; empty if there is none."""
        return self._of(key, Stream)

    def _of(self, key: str, kind: type[K]) -> K:
        found: K = self.values.get(key, kind())
        return found

    @property
    def offsets(self) -> dict[str, int]:
        """Next offsets by topic."""
        meta = self.hash(META)
        return {name[4:]: int(value) for name, value in meta.items() if name.startswith("off:")}

    def counter(self, name: str) -> int:
        """A counter of the meta hash."""
        return int(self.hash(META).get(name, 0))

    def names(self, start: str) -> list[str]:
        """What follows `start` in the keys that begin with it."""
        return [key.removeprefix(start) for key in self.values if key.startswith(start)]
