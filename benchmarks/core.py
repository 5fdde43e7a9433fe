"""The pure hot path alone: microseconds per event of each step, without Kafka and Redis."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgpack

from benchmarks.shop_log import make_events
from contracts.events import encode
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import EVENT_TOPICS, Topics
from contracts.visitor import Visitor, pack_visitor, unpack_visitor
from stream.batch import Clock, Entry, Rules, apply_batch
from stream.commit import Commit, Retention, encode_commit
from stream.merge import merge_heads
from stream.records import read_records

STEPS = ("read_records", "merge", "apply_batch", "encode_commit", "pack")


class RawRecord(NamedTuple):
    """What the stream reads of aiokafka's `ConsumerRecord`."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class Share:
    """One partition's part of the log and the state it has come to."""

    records: dict[str, list[RawRecord]]
    clock: Clock = field(default_factory=lambda: Clock(0, 0))
    visitors: dict[str, Visitor | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoreRow:
    """Microseconds per event of each of `STEPS`, at one number of events per commit."""

    batch: int
    events: int
    us: dict[str, float]
    visitor_writes: float
    """Visitor states written per event."""
    commit_bytes: float
    """Size of the packed commits per event."""

    @property
    def total_us(self) -> float:
        """All steps together."""
        return sum(self.us.values())


def make_shares(events: int, partitions: int, *, step_ms: float = 1.0, seed: int = 7) -> list[Share]:
    """The shop's log split as Kafka would split it; broker timestamps follow event time at once."""
    shares = [Share({topic: [] for topic in EVENT_TOPICS}) for _ in range(partitions)]
    first_ms = time.time_ns() // 1_000_000 - int(events * step_ms)
    topics = Topics()
    for event in make_events(events, first_ms=first_ms, step_ms=step_ms, seed=seed):
        records = shares[partition_of(event.user_id, partitions)].records[topics.of(event.event_type)]
        records.append(
            RawRecord(len(records), event.event_time_ms + 3, event.user_id.encode(), encode(event))
        )
    return shares


def measure_core(settings: Settings, *, events: int, batch: int) -> CoreRow:
    """Run the whole log through the steps, `batch` events of a partition at a time."""
    spent = dict.fromkeys(STEPS, 0.0)
    rules, retention = Rules.of(settings), Retention.of(settings, Topics().rejected)
    pack = msgpack.Packer(use_bin_type=False).pack
    visitors = size = done = 0
    shares = make_shares(events, settings.partitions)
    for share, buffers in _rounds(shares, settings, spent, batch):
        mark = time.perf_counter()
        entries = [entry for _, entry in merge_heads(buffers, EVENT_TOPICS, awaited=set(), limit=1 << 30)]
        spent["merge"] += (now := time.perf_counter()) - mark
        outcome = apply_batch(share.clock, entries, share.visitors, rules)
        spent["apply_batch"] += (mark := time.perf_counter()) - now
        commit = Commit(0, 1, {"view": (0, 1)}, outcome, outcome.clock.max_event_ms, 0)
        fields = encode_commit(commit, retention)
        spent["encode_commit"] += (now := time.perf_counter()) - mark
        size += len(pack(fields))
        spent["pack"] += time.perf_counter() - now
        share.clock = outcome.clock
        share.visitors.update(outcome.visitors)
        visitors += len(outcome.visitors)
        done += len(entries)
    us = {step: seconds / done * 1e6 for step, seconds in spent.items()}
    return CoreRow(batch, done, us, visitors / done, size / done)


def _rounds(
    shares: Sequence[Share], settings: Settings, spent: dict[str, float], batch: int
) -> Iterator[tuple[Share, dict[str, deque[Entry]]]]:
    """The partitions in turns, each with the entries of its next `batch` records."""
    total = sum(len(records) for share in shares for records in share.records.values())
    sources = [{topic: iter(records) for topic, records in share.records.items()} for share in shares]
    portion = {topic: max(1, round(batch * share)) for topic, share in _topic_shares(shares, total).items()}
    open_shares = list(zip(shares, sources, strict=True))
    while open_shares:
        for item in list(open_shares):
            share, source = item
            buffers: dict[str, deque[Entry]] = {}
            for topic in EVENT_TOPICS:
                records = list(islice(source[topic], portion[topic]))
                mark = time.perf_counter()
                entries = read_records(
                    records, topic=topic, partition=0, default_currency=settings.currency, now_ms=0
                )
                buffers[topic] = deque(entries)
                spent["read_records"] += time.perf_counter() - mark
            if any(buffers.values()):
                yield share, buffers
            else:
                open_shares.remove(item)


def _topic_shares(shares: Sequence[Share], total: int) -> dict[str, float]:
    return {topic: sum(len(share.records[topic]) for share in shares) / total for topic in EVENT_TOPICS}


def measure_blobs(settings: Settings, *, events: int) -> tuple[float, float, float]:
    """Microseconds to pack and to unpack one visitor's state after the log, and its mean size in bytes."""
    share = make_shares(events, 1)[0]
    entries = [
        entry
        for topic in EVENT_TOPICS
        for entry in read_records(
            share.records[topic], topic=topic, partition=0, default_currency=settings.currency, now_ms=0
        )
    ]
    visitors = apply_batch(Clock(0, 0), entries, {}, Rules.of(settings)).visitors.values()
    mark = time.perf_counter()
    blobs = [pack_visitor(visitor) for visitor in visitors]
    middle = time.perf_counter()
    for blob in blobs:
        unpack_visitor(blob)
    end = time.perf_counter()
    number = len(blobs)
    return (middle - mark) / number * 1e6, (end - middle) / number * 1e6, sum(map(len, blobs)) / number
