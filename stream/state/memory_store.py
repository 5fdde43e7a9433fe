"""`Store` and `Outboxes` in memory: the twins of those in Redis under the same tests.

They take only what a Redis Cluster would, all keys of a commit in one slot, and only keys of a known family.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from redis.crc import key_slot

from contracts.key_families import META, OUTBOX, QUARANTINE, family_of
from contracts.keys import Keys
from stream.state.commit import (
    NO_OFFSET,
    Claim,
    ClaimRead,
    Commit,
    CommitStatus,
    Conflict,
    WrongType,
    make_claim,
)
from stream.state.memory_partition import TYPES, Hash, MemoryPartition
from stream.state.memory_writes import apply_write
from stream.state.outbox import OutboxItem, Pages
from stream.state.writes import AddToHashes, RaiseScores


class MemoryStore:
    """`Store` without expiry; `partitions` may be looked at and harmed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.partitions: dict[int, MemoryPartition] = defaultdict(MemoryPartition)

    async def claim(self, floors: Mapping[int, int], reads: Sequence[ClaimRead] = ()) -> dict[int, Claim]:
        """See `Store.claim`."""
        claims = {}
        for p, floor in floors.items():
            part = self.partitions[p]
            meta = part.values.setdefault(META, Hash())
            meta["epoch"] = str(max(int(meta.get("epoch", 0)), floor) + 1)
            claims[p] = make_claim(dict(meta), {read.key: _read(part, read) for read in reads})
        return claims

    async def read_blobs(
        self, wanted: Mapping[int, Sequence[str]]
    ) -> dict[int, list[bytes | WrongType | None]]:
        """See `Store.read_blobs`."""
        return {
            p: [_blob(self.partitions[p].values.get(name)) for name in names] for p, names in wanted.items()
        }

    async def set_aside(self, p: int, name: str, found: bytes | WrongType) -> bool:
        """See `Store.set_aside`."""
        values = self.partitions[p].values
        if _blob(values.get(name)) != found:
            return False
        values[QUARANTINE + name] = values.pop(name)
        meta = values.setdefault(META, Hash())
        meta["quarantined"] = str(int(meta.get("quarantined", 0)) + 1)
        return True

    async def read_fields(
        self, wanted: Mapping[int, tuple[str, Collection[str]]]
    ) -> dict[int, dict[str, str]]:
        """See `Store.read_fields`."""
        return {
            p: {name: value for name, value in self.partitions[p].hash(key).items() if name in names}
            for p, (key, names) in wanted.items()
        }

    async def read_hash(self, p: int, key: str) -> dict[str, str]:
        """See `Store.read_hash`."""
        return dict(self.partitions[p].hash(key))

    async def keys_from(self, p: int, start: str) -> list[str]:
        """See `Store.keys_from`."""
        return self.partitions[p].names(start)

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """See `Store.commit`."""
        statuses: list[CommitStatus] = []
        reasons: dict[int, str] = {}
        for commit in commits:
            try:
                statuses.append(self._commit_one(commit))
            except Conflict as exc:
                statuses.append(CommitStatus.CONFLICT)
                reasons[commit.partition] = str(exc)
        if reasons:
            raise Conflict("; ".join(reasons.values()), reasons, statuses)
        return statuses

    def _commit_one(self, commit: Commit) -> CommitStatus:
        part = self.partitions[commit.partition]
        epoch = part.counter("epoch")
        if epoch != commit.epoch:
            return CommitStatus.FENCED if epoch > commit.epoch else CommitStatus.BEHIND
        stored = {topic: part.offsets.get(topic, NO_OFFSET) for topic in commit.offsets}
        if any(stored[topic] != start for topic, (start, _) in commit.offsets.items()):
            repeated = all(stored[topic] == end for topic, (_, end) in commit.offsets.items())
            return CommitStatus.REPEATED if repeated else CommitStatus.GAP
        self._check(commit, part)
        for write in commit.writes:
            apply_write(part, write)
        meta = part.values.setdefault(META, Hash())
        moved = {f"off:{topic}": end for topic, (start, end) in commit.offsets.items() if start != end}
        meta.update({name: str(value) for name, value in {**moved, **commit.marks}.items()})
        return CommitStatus.APPLIED

    def _check(self, commit: Commit, part: MemoryPartition) -> None:
        """Refuse before the first write what Redis would refuse, and what a Redis Cluster would."""
        prefix = self._keys.prefix(commit.partition)
        slot = key_slot((prefix + META).encode())
        added: set[str] = set()
        for write in commit.writes:
            for key in write.keys:
                family = family_of(key)
                if key_slot((prefix + key).encode()) != slot:
                    raise Conflict(f"{prefix}{key} lies in another slot than {prefix}{META}")
                if family is None or (write.HOLDS and family.holds != write.HOLDS):
                    known = "nothing" if family is None else family.holds
                    raise Conflict(
                        f"{type(write).__name__} writes {key!r}: contracts.key_families has {known} so named"
                    )
                held = part.values.get(key)
                if write.HOLDS and held is not None and type(held) is not TYPES[write.HOLDS]:
                    raise Conflict(f"{prefix}{key} is a {type(held).__name__}, not a {write.HOLDS}")
                if isinstance(write, AddToHashes | RaiseScores):
                    if key in added:
                        raise Conflict(f"{prefix}{key} is added to twice in one commit")
                    added.add(key)
                    _check_numbers(prefix + key, held, write.changes)

    async def lowest(
        self, key: str, partitions: Sequence[int], limit: int
    ) -> dict[int, list[tuple[str, int]]]:
        """See `Store.lowest`."""
        return {
            p: [
                (member, int(score))
                for member, score in sorted(
                    self.partitions[p].scores(key).items(), key=lambda item: (item[1], item[0].encode())
                )[:limit]
            ]
            for p in partitions
        }


class MemoryOutboxes:
    """`Outboxes` over a memory store: there is one reader, and nothing is ever lost."""

    def __init__(self, store: MemoryStore, *, alerts_kept: int) -> None:
        self._store = store
        self._alerts_kept = alerts_kept
        self._read: set[int] = set()
        self.alerts: dict[str, bytes] = {}

    async def read(self, partitions: Collection[int], limit: int) -> Pages:
        """See `Outboxes.read`."""
        self._read.update(partitions)
        pages = {p: self._store.partitions[p].stream(OUTBOX)[:limit] for p in partitions}
        return {p: [_item(*entry) for entry in entries] for p, entries in pages.items() if entries}

    async def clear(self, pages: Pages) -> None:
        """See `Outboxes.clear`."""
        for p, items in pages.items():
            done = {item.entry_id for item in items}
            stream = self._store.partitions[p].stream(OUTBOX)
            stream[:] = [entry for entry in stream if entry[0] not in done]

    async def set_aside(self, p: int, items: Sequence[OutboxItem]) -> None:
        """See `Outboxes.set_aside`; nothing is kept."""
        await self.clear({p: items})

    async def append_alerts(self, pages: Pages) -> set[int]:
        """See `Outboxes.append_alerts`."""
        for p in pages.keys() & self._read:
            for item in pages[p]:
                self.alerts.setdefault(item.item_id, item.value)
        for item_id in list(self.alerts)[: -self._alerts_kept]:
            del self.alerts[item_id]
        return pages.keys() - self._read


def _check_numbers(key: str, held: Any, names: Collection[str]) -> None:
    for name in names if type(held) is Hash else ():
        if not held.get(name, "0").lstrip("-").isdigit():
            raise Conflict(f"{key} has no number in {name}")


def _blob(held: Any) -> bytes | WrongType | None:
    if held is None or isinstance(held, bytes):
        return held
    return WrongType(next(name for name, kind in TYPES.items() if type(held) is kind))


def _item(entry_id: str, fields: Mapping[str, Any]) -> OutboxItem:
    return OutboxItem(entry_id, fields["topic"], fields["key"] or None, fields["id"], fields["value"])


def _read(part: MemoryPartition, read: ClaimRead) -> Any:
    if read.holds == "hash":
        return dict(part.hash(read.key))
    if read.holds == "lowest":
        return min(map(int, part.scores(read.key).values()), default=None)
    if read.holds == "highest":
        return max(map(int, part.scores(read.key).values()), default=None)
    if read.holds == "size":
        return len(part.scores(read.key))
    return part.values.get(read.key)
