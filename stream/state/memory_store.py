"""`Store` in memory: the twin of `RedisStore` under the same tests, and the store of pure property tests."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from contracts.visitor import Visitor, unpack_visitor
from models.next_action.prices import PriceLevel
from stream.state.commit import NO_OFFSET, Claim, Commit, CommitStatus, Retention, encode_commit
from stream.state.store import OutboxItem, Pages


class MemoryPartition:
    """Everything one partition holds, in the layout of `contracts.keys`."""

    def __init__(self) -> None:
        self.epoch = 0
        self.offsets: dict[str, int] = {}
        self.meta: dict[str, int] = {}
        self.visitors: dict[str, bytes] = {}
        self.buckets: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.trend: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.active: dict[str, int] = {}
        self.due: dict[str, int] = {}
        self.currencies: set[str] = set()
        self.outbox: list[OutboxItem] = []
        self.forgotten: dict[str, int] = {}
        self.forgetting: dict[str, str] = {}


class MemoryStore:
    """`Store` without expiry; `partitions` may be looked at."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._entries = 0
        self._read: set[int] = set()
        self.alerts: dict[str, bytes] = {}
        self.partitions: dict[int, MemoryPartition] = defaultdict(MemoryPartition)

    async def claim(self, floors: Mapping[int, int]) -> dict[int, Claim]:
        """See `Store.claim`."""
        claims = {}
        for p, floor in floors.items():
            part = self.partitions[p]
            part.epoch = max(part.epoch, floor) + 1
            claims[p] = Claim(
                part.epoch,
                dict(part.offsets),
                part.meta.get("max_event_ms", 0),
                part.meta.get("broker_ms", 0),
                min(part.due.values(), default=None),
                PriceLevel(
                    float(part.meta.get("price_mean_log", 0)), float(part.meta.get("price_weight", 0))
                ),
                dict(part.forgotten),
            )
        return claims

    async def load(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, list[Visitor | None]]:
        """See `Store.load`."""
        return {
            p: [
                unpack_visitor(blob) if (blob := self.partitions[p].visitors.get(user)) is not None else None
                for user in users
            ]
            for p, users in wanted.items()
        }

    async def names(self, wanted: Mapping[int, Collection[str]]) -> dict[int, dict[str, str]]:
        """See `Store.names`."""
        return {
            p: {digest: user for digest, user in self.partitions[p].forgetting.items() if digest in digests}
            for p, digests in wanted.items()
        }

    async def visitor_ids(self, p: int) -> list[str]:
        """See `Store.visitor_ids`."""
        return list(self.partitions[p].visitors)

    async def commit(self, commits: Sequence[Commit]) -> list[CommitStatus]:
        """See `Store.commit`."""
        return [self._commit_one(commit) for commit in commits]

    def _commit_one(self, commit: Commit) -> CommitStatus:
        part = self.partitions[commit.partition]
        if part.epoch > commit.epoch:
            return CommitStatus.FENCED
        if part.epoch < commit.epoch:
            return CommitStatus.BEHIND
        stored = {topic: part.offsets.get(topic, NO_OFFSET) for topic in commit.offsets}
        if any(stored[topic] != start for topic, (start, _) in commit.offsets.items()):
            repeated = all(stored[topic] == end for topic, (_, end) in commit.offsets.items())
            return CommitStatus.REPEATED if repeated else CommitStatus.GAP
        self._write(part, encode_commit(commit, self._retention))
        return CommitStatus.APPLIED

    def _write(self, part: MemoryPartition, fields: dict[str, Any]) -> None:
        for name, value in _pairs(fields["meta"]).items():
            topic = name.removeprefix("off:")
            (part.meta if topic == name else part.offsets)[topic] = value
        for name, change in _pairs(fields["counters"]).items():
            part.meta[name] = part.meta.get(name, 0) + change
        for user in fields["removed"]:
            for kept in (part.visitors, part.active, part.due):
                kept.pop(user, None)
        part.forgotten.update(_pairs(fields["forgotten"]))
        for digest in fields["found"]:
            part.forgetting.pop(digest, None)
        part.visitors.update(zip(fields["users"], fields["states"], strict=True))
        for keys, names, changes in zip(*[iter(fields["buckets"])] * 3, strict=True):
            for key in keys[::2]:
                for name, change in zip(names, changes, strict=True):
                    part.buckets[key][name] += change
        for landmark_ms, _, products, scores in zip(*[iter(fields["trend"])] * 4, strict=True):
            for product, score in zip(products, scores, strict=True):
                part.trend[landmark_ms][product] += score
        part.active.update(_members(fields["active"]))
        part.active = {u: at for u, at in part.active.items() if at >= fields["active_from_ms"]}
        part.due.update(_members(fields["due"]))
        for user in fields["not_due"]:
            part.due.pop(user, None)
        part.currencies.update(fields["currencies"])
        for topic, key, item_id, value in zip(*[iter(fields["outbox"])] * 4, strict=True):
            self._entries += 1
            part.outbox.append(OutboxItem(str(self._entries), topic, key or None, item_id, value))

    async def due(self, partitions: Sequence[int], limit: int) -> dict[int, list[tuple[str, int]]]:
        """See `Store.due`."""
        return {
            p: sorted(self.partitions[p].due.items(), key=lambda item: (item[1], item[0].encode()))[:limit]
            for p in partitions
        }

    async def read_outboxes(self, partitions: Collection[int], limit: int) -> Pages:
        """See `Store.read_outboxes`."""
        self._read.update(partitions)
        pages = {p: self.partitions[p].outbox[:limit] for p in partitions}
        return {p: items for p, items in pages.items() if items}

    async def append_alerts(self, pages: Pages) -> set[int]:
        """See `Store.append_alerts`; there is one reader, and nothing is ever lost."""
        for p in pages.keys() & self._read:
            for item in pages[p]:
                self.alerts.setdefault(item.item_id, item.value)
        for item_id in list(self.alerts)[: -self._retention.alerts]:
            del self.alerts[item_id]
        return pages.keys() - self._read

    async def clear_outboxes(self, pages: Pages) -> None:
        """See `Store.clear_outboxes`."""
        for p, items in pages.items():
            done = {item.entry_id for item in items}
            self.partitions[p].outbox = [i for i in self.partitions[p].outbox if i.entry_id not in done]


def _pairs(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _members(flat: Sequence[Any]) -> dict[Any, Any]:
    """Members to scores, from a list in the order of ZADD."""
    return dict(zip(flat[1::2], flat[::2], strict=True))
