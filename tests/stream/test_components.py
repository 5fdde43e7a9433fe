"""Components in a worker without Kafka and Redis: values of subjects, timers, topics, and what they add."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest

from contracts.dead_letters import DeadLetter
from contracts.events import EventType
from contracts.key_families import KeyFamily, register_family
from contracts.settings import Settings
from contracts.subjects import Subject, SubjectKind, product, visitor
from contracts.topics import register_input_topic
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from registrations import own_registrations
from shoppers import NEW, NOW_MS, make_event
from stream.batch.records import Record
from stream.batch.result import NO_CHANGE, BatchResult, Change
from stream.components.component import (
    Applied,
    Component,
    Fired,
    Source,
    SubjectValues,
    TopicComponent,
    TopicRecords,
)
from stream.partitions.cache import Cache
from stream.partitions.component_steps import RECORDS_AT_ONCE
from stream.partitions.partition import Partition
from stream.registry import product_registry
from stream.runtime.heartbeat import _set_gauges
from stream.runtime.metrics import Meter
from stream.state.writes import DeleteKeys, RemoveFromSet

SETTINGS = Settings(partitions=1, scoring=False)
TIMER = "looked_at"


class Looks(Component[int, int]):
    """Counts views of products; a purchase ends a count, and so does its timer ten minutes after it began."""

    name = "looks"
    values = SubjectValues(
        SubjectKind.PRODUCT, "looks:", 60, lambda n: str(n).encode(), lambda blob: int(blob)
    )
    timers = (TIMER,)
    wants_events = True

    def __init__(self) -> None:
        self.fired: list[tuple[list[str], dict[str, int | None]]] = []

    def load(self, found: object) -> int:
        return 0

    def subjects(self, applied: Applied[int]) -> set[str]:
        return {event.product_id for _, _, events in applied.new_events for event in events}

    def apply(self, state: int, applied: Applied[int]) -> Change:
        values = dict(applied.values)
        timers: dict[str, int] = {}
        for _, _, events in applied.new_events:
            for event in events:
                if event.event_type is EventType.PURCHASE:
                    values[event.product_id], timers[event.product_id] = None, 0
                    continue
                if values[event.product_id] is None:
                    timers[event.product_id] = event.event_time_ms + 600_000
                values[event.product_id] = (values[event.product_id] or 0) + 1
        return Change(state + 1, values=values, timers={TIMER: timers})

    def fire(self, state: int, fired: Fired[int]) -> Change:
        self.fired.append((list(fired.subjects), dict(fired.values)))
        return Change(values=dict.fromkeys(fired.subjects))

    def size(self, state: int) -> int:
        return 100 * state


class Leavers(Component[None, None]):
    """Forgets everybody who buys, and the product; knows of more that goes with a product."""

    name = "leavers"
    wants_events = True

    def __init__(self) -> None:
        self.asked: list[Subject] = []

    def apply(self, state: None, applied: Applied[None]) -> Change:
        bought = [
            e for _, _, events in applied.new_events for e in events if e.event_type is EventType.PURCHASE
        ]
        return Change(
            forget=[subject for e in bought for subject in (visitor(e.user_id), product(e.product_id))]
        )

    def forget(self, state: None, subject: Subject) -> Change:
        self.asked.append(subject)
        return Change(forget=[product("p2")]) if subject == product("p1") else NO_CHANGE


class Line(NamedTuple):
    offset: int
    text: bytes | None


class Lines(TopicComponent[None, None, Line]):
    """Notes in how many records at once its topic comes."""

    name = "lines"
    topic = "lines"

    def __init__(self) -> None:
        self.runs: list[int] = []

    def read(self, records: Iterable[Record], source: Source) -> list[Line]:
        return [Line(record.offset, record.value) for record in records]

    def apply_records(self, state: None, records: TopicRecords[Line, None]) -> Change:
        self.runs.append(len(records.items))
        return Change(counters={"lines": len(records.items)})


class Shop:
    """A log and a store, and one worker after the other with components of its own."""

    def __init__(self, settings: Settings = SETTINGS, *, forgets: bool = False) -> None:
        self.forgets = forgets
        self.settings = settings
        self.kafka, self.store = MemoryLog(1), WatchedStore(settings)
        self.start_worker()

    def start_worker(self) -> None:
        """The next owner, with nothing in memory."""
        self.looks, self.lines = Looks(), Lines()
        registry = product_registry(self.settings)
        registry.add(self.looks)
        registry.add(self.lines)
        self.leavers = Leavers()
        if self.forgets:
            registry.add(self.leavers)
        registry.check()
        self.worker = MemoryWorker(self.settings, registry, self.kafka, self.store)

    async def send(self, kind: str, at_s: float, *product_ids: str) -> None:
        """Somebody does this with some products, and the worker applies it."""
        for product_id in product_ids:
            self.kafka.send(make_event(kind, at_s, product_id))
        await self.worker.read()

    def held(self) -> dict[str, int]:
        """The values that are in the store."""
        values = self.store.partitions[0].values
        return {key[6:]: int(blob) for key, blob in values.items() if key.startswith("looks:")}

    @property
    def next_due_ms(self) -> int | None:
        """When the earliest timer is due, as the worker believes."""
        return self.worker.assignment.partitions[0].next_due_ms[TIMER]


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with own_registrations():
        register_family(KeyFamily("looks:", "string", SubjectKind.PRODUCT))
        register_input_topic("lines")
        yield


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_changes_of_one_batch_add_up() -> None:
    result = BatchResult(NEW)
    letter = DeadLetter("x.y", "", "t", 0, 0, None, None, 0)
    first, then = DeleteKeys(["a"]), RemoveFromSet("b", ["c"])
    result.add("c", Change("old", [first], {"p1": 1, "p2": 2}, timers={"t": {"p1": 5}}, counters={"n": 1}))
    result.add(
        "c",
        Change(
            None, [then], {"p2": None}, timers={"t": {"p1": 0, "p2": 7}, "u": {"p3": 8}}, counters={"n": 2},
            letters=[letter], forget=[product("p9")],
        ),
    )  # fmt: skip
    change = result.changes["c"]
    assert change.state == "old", "None leaves the state as it is"
    assert list(change.writes) == [first, then]
    assert change.values == {"p1": 1, "p2": None}
    assert result.all_timers() == {"visitor": {}, "t": {"p1": 0, "p2": 7}, "u": {"p3": 8}}
    assert (result.counters, result.letters, result.forgotten) == ({"n": 3}, [letter], [product("p9")])


def test_the_cache_drops_what_was_written_longest_ago() -> None:
    cache: Cache[int | None] = Cache()
    cache.put({"a": 1, "b": 2}, 3)
    cache.put({"a": None, "c": 3, "d": 4}, 3)
    assert cache.known("abcd") == {"a": None, "c": 3, "d": 4}, "that there is none is known too"
    cache.drop("a")
    assert len(cache) == 2


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_values_outlive_the_cache(limit: int) -> None:
    shop = Shop(SETTINGS.model_copy(update={"cache_visitors": limit}))
    for second in range(4):
        await shop.send("view", second, "p1", "p2", "p3")
    assert shop.held() == {"p1": 4, "p2": 4, "p3": 4}
    part = shop.worker.assignment.partitions[0]
    assert len(part.values["looks"]) == min(limit, 3)


async def test_a_value_of_none_is_deleted_and_begins_anew(shop: Shop) -> None:
    await shop.send("view", 0, "p1", "p2")
    await shop.send("purchase", 1, "p1")
    assert shop.held() == {"p2": 1}
    await shop.send("view", 2, "p1")
    assert shop.held() == {"p1": 1, "p2": 1}
    await shop.send("purchase", 3, "p9")  # there never was any
    assert "p9" not in shop.held()


async def test_timers_are_set_once_fired_once_and_known_to_the_next_owner(shop: Shop) -> None:
    await shop.send("view", 10, "p2")
    await shop.send("view", 0, "p1")
    assert shop.next_due_ms == NOW_MS + 600_000
    shop.start_worker()
    await shop.worker.claim()
    assert shop.next_due_ms == NOW_MS + 600_000
    await shop.send("view", 660, "p3")  # the watermark trails by a minute, and a timer must be passed
    assert shop.looks.fired == []
    await shop.send("view", 661, "p3")
    assert shop.looks.fired == [(["p1"], {"p1": 1})]
    assert shop.next_due_ms == NOW_MS + 610_000
    await shop.send("view", 700, "p4")
    assert shop.looks.fired[1:] == [(["p2"], {"p2": 1})]
    assert shop.held() == {"p3": 2, "p4": 1}
    assert set(shop.store.partitions[0].scores(f"timers:{TIMER}")) == {"p3", "p4"}


async def test_a_timer_that_was_cleared_is_looked_for_once_and_never_fires(shop: Shop) -> None:
    await shop.send("view", 0, "p1")
    await shop.send("purchase", 1, "p1")
    assert shop.store.partitions[0].scores(f"timers:{TIMER}") == {}
    await shop.send("view", 3_600, "p2")
    assert shop.looks.fired == []
    assert shop.next_due_ms in (None, NOW_MS + 4_200_000)


async def test_more_timers_than_fit_fire_in_turns(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.partitions.timers.DUE_LIMIT", 2)
    await shop.send("view", 0, *"abcde")
    await shop.send("view", 3_600, "z")
    while shop.next_due_ms is not None and shop.next_due_ms <= NOW_MS + 600_000:
        await shop.worker.read()
    assert [ids for ids, _ in shop.looks.fired] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_topic_is_applied_in_runs_and_its_offset_kept(shop: Shop) -> None:
    for number in range(RECORDS_AT_ONCE + 1):
        shop.kafka.append("lines", "k", b"%d" % number, NOW_MS)
    await shop.worker.read()
    assert shop.lines.runs == [RECORDS_AT_ONCE, 1]
    assert shop.store.partitions[0].offsets == {"lines": RECORDS_AT_ONCE + 1}
    shop.kafka.append("lines", "k", b"more", NOW_MS)
    shop.start_worker()
    await shop.worker.read()
    assert shop.lines.runs == [1]
    assert shop.store.counter("lines") == RECORDS_AT_ONCE + 2


async def test_nothing_is_kept_of_whom_a_batch_forgets() -> None:
    shop = Shop(forgets=True)
    await shop.send("view", 0, "p1", "p2", "p3")
    await shop.send("purchase", 1, "p1")
    assert shop.leavers.asked == [visitor("u1"), product("p1"), product("p2")]
    part = shop.store.partitions[0]
    assert shop.held() == {"p3": 1}
    assert set(part.scores(f"timers:{TIMER}")) == {"p3"}
    assert (part.names("v:"), dict(part.scores("active")), dict(part.scores("due"))) == ([], {}, {})
    assert not len(shop.worker.assignment.partitions[0].visitors)
    await shop.send("view", 2, "p2")
    assert shop.held() == {"p2": 1, "p3": 1}


async def test_a_topic_that_never_rests_does_not_keep_events_waiting(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.worker.claim()
    steps, scheduler = shop.worker.scheduler._steps, shop.worker.scheduler
    apply_queued = steps.apply_queued

    async def apply_while_more_arrives(parts: Sequence[Partition]) -> None:
        if len(shop.lines.runs) < 100:
            await deliver_line()
        await apply_queued(parts)
        if len(shop.lines.runs) < 100:
            await deliver_line()

    async def deliver_line() -> None:
        records = shop.kafka.records["lines", 0]
        shop.kafka.append("lines", "k", b"", NOW_MS)
        await scheduler.offer("lines", 0, records[-1:], len(records) - 1, len(records), len(records))

    monkeypatch.setattr(steps, "apply_queued", apply_while_more_arrives)
    await deliver_line()
    shop.kafka.send(make_event("view", 0, "p1"))
    await scheduler.offer("view", 0, shop.kafka.records["view", 0], 0, 1, 1)
    assert await scheduler._apply_round(scheduler._groups)
    assert shop.held() == {"p1": 1}
    assert shop.lines.runs == [2]


async def test_no_more_is_read_while_too_many_records_wait(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.partitions.scheduler.MAX_BUFFERED", 2)
    await shop.worker.claim()
    scheduler, records = shop.worker.scheduler, shop.kafka.records["lines", 0]
    for number in range(3):
        shop.kafka.append("lines", "k", b"%d" % number, NOW_MS)
    await scheduler.offer("lines", 0, records[:2], 0, 2, 3)
    offer = asyncio.create_task(scheduler.offer("lines", 0, records[2:], 2, 3, 3))
    await asyncio.sleep(0)
    assert shop.worker.assignment.partitions[0].queued == 2
    await scheduler._apply_round(scheduler._groups)
    await offer
    await scheduler.drain()
    assert shop.lines.runs == [2, 1]


async def test_records_delivered_again_are_not_applied_again(shop: Shop) -> None:
    shop.kafka.append("lines", "k", b"one", NOW_MS)
    await shop.worker.read()
    shop.kafka.append("lines", "k", b"two", NOW_MS)
    await shop.worker.scheduler.offer("lines", 0, shop.kafka.records["lines", 0], 0, 2, 2)
    await shop.worker.scheduler.drain()
    assert (shop.lines.runs, shop.store.counter("lines")) == ([1, 1], 2)


async def test_what_has_no_record_for_us_moves_the_offsets(shop: Shop) -> None:
    """An aborted transaction with its marker, and the marker behind a record."""
    await shop.worker.claim()
    scheduler, part = shop.worker.scheduler, shop.worker.assignment.partitions[0]
    await scheduler.offer("view", 0, [], 0, 3, 3)
    shop.kafka.append("lines", "k", b"one", NOW_MS)
    await scheduler.offer("lines", 0, shop.kafka.records["lines", 0], 0, 2, 2)
    assert part.lag == 5
    await scheduler.drain()
    stored = shop.store.partitions[0].offsets
    assert (stored["view"], stored["lines"], part.lag) == (3, 2, 0)
    assert shop.lines.runs == [1]


async def test_memory_of_components_is_a_metric(shop: Shop) -> None:
    await shop.send("view", 0, "p1")
    await shop.send("view", 1, "p1")
    meter = Meter()
    _set_gauges(shop.worker.assignment, meter)
    sizes, values = (
        {
            sample.labels["component"]: sample.value
            for metric in meter.registry.collect()
            if metric.name == f"storepulse_worker_component_{unit}"
            for sample in metric.samples
        }
        for unit in ("bytes", "values")
    )
    assert sizes["looks"] == 200
    assert (values["looks"], values["demand"]) == (1, 0)
    assert sizes["deletions"] == 0
    assert set(sizes) == {
        "alert_use", "deletions", "customers", "prices", "demand", "trending", "orders",
        "catalogue", "exposures", "sessions", "looks", "lines",
    }  # fmt: skip
