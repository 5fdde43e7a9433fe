"""The pure hot path alone: microseconds of CPU per event of each step, without Kafka and Redis."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import msgpack
import numpy as np

from benchmarks.collector import tuned_collector
from benchmarks.shop_log import make_events
from contracts.clock import wall_clock_ms
from contracts.events import encode
from contracts.key_families import FORGOTTEN, META
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import EVENT_TOPICS, Topics
from contracts.visitor import Visitor, unpack_visitor
from models.next_action.actions import LEAVE_TARGET
from models.next_action.model import Model
from models.online.learning import Answers, learn
from models.online.publishing import FEWEST_JUDGED, Publisher
from models.online.records import RECORD
from models.online.sums import Floats, nothing_learnt, sums_in
from stream.batch.core import Core
from stream.batch.result import BatchResult
from stream.batch.step import StepSettings
from stream.components.component import Source, TopicRecords
from stream.components.prices import level_of
from stream.partitions.component_steps import applied_of, apply_component
from stream.partitions.partition import Partition
from stream.partitions.result_writes import ResultWriter, WriteSettings
from stream.partitions.scheduler import ROUND_EVENTS
from stream.registry import AnyComponent, Registry, make_registry
from stream.scoring.next_action import NextActionSlot, ScoredVisitor
from stream.scoring.slots import AskedVisitor
from stream.state.commit import Claim, Commit, encode_commit

STEPS = (
    "read_records", "take", "find_states", "apply_batch", "components",
    "writes", "encode_commit", "pack", "adopt", "own_topics",
)  # fmt: skip
"""`own_topics`: all about records that components send to one another, of orders and customers above all."""
STEPS_WITH_SCORING = (*STEPS[:5], "encode", "ask", "take_scores", *STEPS[5:])
ARRIVAL_MS = 3
"""From event time to the broker's timestamp."""


class RawRecord(NamedTuple):
    """What the stream reads of aiokafka's `ConsumerRecord`."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class PartitionLog:
    """One partition's part of the log, and the worker's state of that partition."""

    def __init__(self, number: int, registry: Registry) -> None:
        claim = Claim(epoch=1, found={META: {}, FORGOTTEN: {}})
        queued = tuple(registry.topic_components(Topics()))
        self.part = Partition(
            number, EVENT_TOPICS, claim, registry=registry, place=0, now_s=0.0, queued=queued
        )
        self.records: list[tuple[str, RawRecord]] = []
        self.told: dict[str, list[RawRecord]] = {}
        """Records of components' own topics that are not applied yet."""
        self._done = 0

    def next_records(self, batch: int) -> dict[str, list[RawRecord]]:
        """The next `batch` records by topic, as the batch consumer would deliver them."""
        portions: dict[str, list[RawRecord]] = {topic: [] for topic in EVENT_TOPICS}
        for topic, record in self.records[self._done : self._done + batch]:
            portions[topic].append(record)
        self._done += batch
        return portions


@dataclass(frozen=True, slots=True)
class CoreRow:
    """Microseconds of CPU per event of each step of one core, at one number of events per commit.

    The steps are `STEPS`, or `STEPS_WITH_SCORING`.
    """

    core: str
    batch: int
    events: int
    scored: int
    """Visitors scored, one that is in several commits as often."""
    us: dict[str, float]
    visitor_writes: float
    """Visitor states written per event."""
    commit_bytes: float
    """Size of the packed commits per event."""

    @property
    def total_us(self) -> float:
        """All steps together."""
        return sum(self.us.values())


@dataclass(frozen=True, slots=True)
class BlobRow:
    """One visitor's state on the average: its size, and microseconds to pack and to unpack it."""

    core: str
    size_bytes: float
    pack_us: float
    unpack_us: float


def make_partition_logs(
    registry: Registry, events: int, partitions: int, *, step_ms: float = 1.0, seed: int = 7
) -> list[PartitionLog]:
    """The shop's log split as Kafka would split it; broker timestamps follow event time at once."""
    logs = [PartitionLog(number, registry) for number in range(partitions)]
    offsets: Counter[tuple[int, str]] = Counter()
    first_ms = wall_clock_ms() - int(events * step_ms)
    topics = Topics()
    for event in make_events(events, first_ms=first_ms, step_ms=step_ms, seed=seed):
        place = partition_of(event.user_id, partitions), topics.of(event.event_type)
        key, value = event.user_id.encode(), encode(event)
        record = RawRecord(offsets[place], event.event_time_ms + ARRIVAL_MS, key, value)
        offsets[place] += 1
        logs[place[0]].records.append((place[1], record))
    return logs


def measure_core(
    settings: Settings, core: Core, *, events: int, batch: int, model: Model | None = None
) -> CoreRow:
    """Run the whole log through the steps, `batch` events of a partition at a time; scored with a model."""
    registry = make_registry(settings, core)
    logs = make_partition_logs(registry, events, settings.partitions)
    bench = _Steps(settings, registry, core, logs, model)
    with tuned_collector():  # the log itself is frozen too: it is not the worker's to look after
        while bench.round(batch):
            pass
    us = {step: seconds / bench.events * 1e6 for step, seconds in bench.spent_s.items()}
    return CoreRow(
        core.name,
        batch,
        bench.events,
        bench.scored,
        us,
        bench.visitors / bench.events,
        bench.size / bench.events,
    )


class _Applied(NamedTuple):
    """A batch of one partition on its way through a round."""

    part: Partition
    offsets: dict[str, tuple[int, int]]
    outcome: BatchResult
    events: int


class _Steps:
    """One round of the scheduler after another, without its awaits, and the time each step took."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        core: Core,
        logs: Sequence[PartitionLog],
        model: Model | None = None,
    ) -> None:
        self._core = core
        self._logs = logs
        self._components = tuple(registry.components.values())
        self._topics = registry.topic_components(Topics())
        self._writer = ResultWriter(registry, WriteSettings.of(settings), core.pack_visitors)
        self._currency = settings.currency
        self._partitions = settings.partitions
        self._slot = NextActionSlot(settings)
        self._model = model
        if model is not None and self._slot.learner is not None:
            self._slot.learner.pooled = model.version, Publisher(sums_in(_learnt_before()))
        self._rules = StepSettings.of(settings, keeps_events=registry.keeps_events)
        self._pack = msgpack.Packer(use_bin_type=False).pack
        self.spent_s = dict.fromkeys(STEPS if model is None else STEPS_WITH_SCORING, 0.0)
        self.events = self.visitors = self.size = self.scored = 0
        self._reading_s = _reading_s()

    def round(self, batch: int) -> bool:
        """Take the next records through all steps, `batch` of each partition; False when there are none.

        As in a worker, a round takes of the partitions what waits, up to its most events, and asks the model
        once.
        """
        found = False
        logs = max(1, min(len(self._logs), ROUND_EVENTS // batch))
        for at in range(0, len(self._logs), logs):
            taken = [self._apply(log, batch) for log in self._logs[at : at + logs]]
            applied = [each for each in taken if each is not None]
            if self._model is not None and applied:
                self._score(self._model, applied)
            for each in applied:
                self._commit(each)
            found = found or bool(applied)
        return found

    def _apply(self, log: PartitionLog, batch: int) -> "_Applied | None":
        part = log.part
        portions = log.next_records(batch)
        if not any(portions.values()):
            return None
        with self._timed("own_topics"):
            self._apply_told(log)
        with self._timed("read_records"):
            for topic, records in portions.items():
                part.buffers[topic].extend(
                    self._core.read_records(
                        records,
                        topic=topic,
                        partition=part.number,
                        partitions=self._partitions,
                        default_currency=self._currency,
                        now_ms=0,
                    )
                )
        with self._timed("take"):
            entries, offsets = part.take(1 << 30, set(), self._core.merge_heads)
        with self._timed("find_states"):
            states: dict[str, Visitor | None] = dict(part.visitors.known(self._core.users_of(entries)))
        with self._timed("apply_batch"):
            outcome = self._core.apply_batch(part.clock, entries, states, self._rules)
        with self._timed("components"):
            for component in self._components:
                apply_component(component, part.states, outcome, _values(part, component, outcome))
        return _Applied(part, offsets, outcome, len(entries))

    def _commit(self, applied: "_Applied") -> None:
        part, offsets, outcome, n_entries = applied
        with self._timed("writes"):
            writes = self._writer.writes_of(outcome)
        commit = Commit(part.number, part.epoch, offsets, writes, outcome.clock._asdict())
        with self._timed("encode_commit"):
            fields = encode_commit(commit)
        with self._timed("pack"):
            self.size += len(self._pack(fields))
        with self._timed("adopt"):
            part.adopt(commit, outcome, now_s=0.0, cache_limit=1 << 30)
        self._deliver(outcome)
        self.visitors += len(outcome.visitors)
        self.events += n_entries

    def _deliver(self, outcome: BatchResult) -> None:
        """Put what components tell one another where Kafka would."""
        for record in outcome.records:
            if record.topic in self._topics:
                key = record.key.encode()
                told = self._logs[partition_of(record.key, self._partitions)].told
                told.setdefault(record.topic, []).append(RawRecord(0, 0, key, record.value))

    def _apply_told(self, log: PartitionLog) -> None:
        """See `stream.partitions.component_steps.ComponentSteps.apply_queued`."""
        part = log.part
        for topic, component in self._topics.items():
            records = log.told.pop(topic, [])
            if not records:
                continue
            items = component.read(records, Source(topic, part.number, 0))
            asked = component.record_subjects(items)
            values = dict.fromkeys(asked) | part.values[component.name].known(asked)
            result = BatchResult(part.clock)
            told = TopicRecords(items, part.clock, values, {})
            result.add(component.name, component.apply_records(part.states[component.name], told))
            commit = Commit(part.number, part.epoch, {}, self._writer.writes_of(result), {})
            self.size += len(self._pack(encode_commit(commit)))
            part.adopt(commit, result, now_s=0.0, cache_limit=1 << 30)
            self._deliver(result)

    def _score(self, model: Model, round_of: "Sequence[_Applied]") -> None:
        """As the scheduler does."""
        wanted = {
            (place, user_id): AskedVisitor(user_id, visitor, level)
            for place, (part, _, outcome, _) in enumerate(round_of)
            for level in [level_of(part.states, outcome)]
            for user_id, visitor in outcome.visitors.items()
            if self._slot.select(visitor)
        }
        names, subjects = list(wanted), list(wanted.values())
        scores: list[dict[str, ScoredVisitor]] = [{} for _ in round_of]
        for at in range(0, len(names), self._slot.most_visitors):
            now = slice(at, at + self._slot.most_visitors)
            with self._timed("encode"):
                encoded = self._slot.encode_all(subjects[now])
            with self._timed("ask"):
                found = self._slot.ask(model, [each.visitor for each in subjects[now]], encoded)
            for (place, user_id), score in zip(names[now], found, strict=True):
                scores[place][user_id] = score
        with self._timed("take_scores"):
            for applied, own in zip(round_of, scores, strict=True):
                self._slot.take(applied.outcome, own)
        self.scored += len(subjects)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        mark = time.process_time()
        yield
        self.spent_s[step] += time.process_time() - mark - self._reading_s


def _learnt_before() -> Floats:
    """What makes the mixture be published: answers that the tables foretell and the base rates do not."""
    records = np.zeros(10 * FEWEST_JUDGED, dtype=RECORD)
    targets = np.arange(len(records)) % 2 * LEAVE_TARGET
    records["chain"] = np.where(targets, 0, 719)
    return learn(nothing_learnt(), nothing_learnt(), records, Answers(targets, targets // LEAVE_TARGET))


def _values(part: Partition, component: AnyComponent, outcome: BatchResult) -> dict[str, Any]:
    """A component's values as far as they are there: Redis had none before the log began."""
    if component.values is None:
        return {}
    asked = component.subjects(applied_of(outcome, {}, part.states[component.name]))
    return dict.fromkeys(asked) | part.values[component.name].known(asked)


def _reading_s() -> float:
    """What one reading of the CPU clock takes: it is a system call and would show in small commits."""
    marks = [time.process_time() for _ in range(1_000)]
    return median(after - before for before, after in itertools.pairwise(marks))


def measure_blobs(settings: Settings, core: Core, *, events: int) -> BlobRow:
    """Pack and unpack the state of every visitor after the whole log."""
    settings = settings.model_copy(update={"partitions": 1})
    registry = make_registry(settings, core)
    log = make_partition_logs(registry, events, 1)[0]
    users = {record.key.decode() for _, record in log.records}
    _Steps(settings, registry, core, [log]).round(events)
    visitors = log.part.visitors.known(users).values()
    mark = time.process_time()
    blobs = core.pack_visitors(visitors)
    middle = time.process_time()
    for blob in blobs:
        unpack_visitor(blob)
    end = time.process_time()
    number = len(blobs)
    size = sum(map(len, blobs)) / number
    return BlobRow(core.name, size, (middle - mark) / number * 1e6, (end - middle) / number * 1e6)
