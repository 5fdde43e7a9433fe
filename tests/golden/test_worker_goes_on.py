"""A worker claims what one of an earlier version left, and goes on where that was killed."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contracts.alerts import FLAT_KINDS, AlertState, decode_alert
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import unpack_visitor
from golden_files import visitor_values
from golden_installation import Record, about, broken_records, golden_events, restore_redis, restore_topics
from models.quality import add_up, alert_figures, by_version
from ops.audit import (
    Totals,
    TotalsRules,
    differences,
    distinct_letters,
    expected_of,
    has_settled,
    log_ends,
    published_alerts,
    read_log,
    read_state,
)
from ops.chaos.send_log import SendLog
from ops.chaos.traffic import make_producer
from ops.chaos.worker_supervisor import WorkerSupervisor
from services import wait_until
from stub_model import write_model

MakeInstallation = Callable[..., Settings]

LONG_S = 20 * 365 * 86_400
TTLS = dict.fromkeys(("minute_ttl_s", "product_minute_ttl_s", "hour_ttl_s", "day_ttl_s"), LONG_S)
ENDS = ("se", "ca")
"""Shop counters of sessions that ended: what a deleted visitor was about, no count can tell."""
DELETED, DELETING = about()["deleted"][0], about()["deleting"][0]
"""Visitors whose deletion the earlier worker had applied, and had not seen yet."""
GONE = (DELETED, DELETING)


class Left:
    """The installation as it was left, on services of today."""

    def __init__(self, settings: Settings, *, with_redis: bool) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self.redis = Redis.from_url(settings.redis_url)
        restore_topics(settings)
        if with_redis:
            restore_redis(self.redis, settings)
        self._offsets = [
            {name.removeprefix("off:"): value for name, value in meta.items()} for meta in self.metas()
        ]

    def metas(self) -> list[dict[str, int]]:
        """The whole numbers in the meta hash of every partition."""
        found = []
        for p in range(self.keys.partitions):
            meta: Any = self.redis.hgetall(self.keys.meta(p))
            found.append({name.decode(): int(value) for name, value in meta.items() if value.isdigit()})
        return found

    def is_applied(self) -> bool:
        """Whether every event in the log is applied, and the deletion."""
        metas = self.metas()
        ends = log_ends(self.settings)
        read = all(metas[p].get(f"off:{topic}", -1) == end for (topic, p), end in ends.items() if end)
        return read and not self.redis.exists(self.keys.visitor(DELETING))

    def has_settled(self, *, live: bool = True) -> bool:
        ends = log_ends(self.settings)
        return has_settled(
            self.redis, self.keys, ends, disorder_ms=self.settings.disorder_ms, live=live
        ) and not any(self.redis.xlen(self.keys.outbox(p)) for p in range(self.keys.partitions))

    def applied_before(self, record: Record) -> bool:
        """Whether the earlier worker had applied this record."""
        return record.offset < self._offsets[record.partition].get(
            self.settings.topic_prefix + record.topic, 0
        )


@pytest.fixture
def left(
    make_installation: MakeInstallation, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Left]:
    write_model(tmp_path / "model")
    fields = about()["settings"] | TTLS | {"model_dir": str(tmp_path / "model"), "alert_watch_ms": 2_000}
    found = Left(make_installation(**fields), with_redis=getattr(request, "param", True))
    yield found
    found.redis.close()


@pytest.fixture
def supervisor(left: Left, tmp_path: Path) -> Iterator[WorkerSupervisor]:
    supervisor = WorkerSupervisor(left.settings, tmp_path / "logs")
    yield supervisor
    supervisor.close()
    assert supervisor.exits == []


def test_nothing_is_lost_counted_twice_or_left_open(left: Left, supervisor: WorkerSupervisor) -> None:
    log_before = read_log(left.redis, left.keys)
    open_before = open_alerts(left)
    unended = unended_alerts(left) - sum(open_before.values())
    supervisor.add()
    wait_until(left.is_applied, 60, "the rest of the log to be applied")
    returned = come_again(left)
    wait_until(left.has_settled, 60, "every session and alert to end")

    found, expected = read_state(left.redis, left.keys), count(left, returned)
    ends, all_ends = drop_ends(found), drop_ends(expected)
    assert differences(expected, found) == []
    for name in ENDS:
        assert 0 <= all_ends[name] - ends[name] <= 2, "or not the last session of the deleted visitors alone"
    assert refused(left) == {place(record) for record in broken_records()} != set()

    log = read_log(left.redis, left.keys)
    assert log[: len(log_before)] == log_before
    assert_each_ended_once(log, published_alerts(left.settings))
    assert open_alerts(left) == Counter()
    assert unended_alerts(left) == unended + open_before[DELETING]


@pytest.mark.parametrize("left", [False], indirect=True, ids=["empty Redis"])
def test_all_is_rebuilt_from_topics_of_an_earlier_version(left: Left, supervisor: WorkerSupervisor) -> None:
    supervisor.add()
    wait_until(left.is_applied, 60, "the log to be applied")
    wait_until(lambda: left.has_settled(live=False), 60, "the sessions that are over to end")
    assert differences(count(left, []), read_state(left.redis, left.keys)) == []
    assert refused(left) == {place(record) for record in broken_records()}


def come_again(left: Left) -> list[Event]:
    """Every visitor but the deleted acts again, now; returns the events."""
    now_ms = time.time_ns() // 1_000_000
    kinds = (EventType.VIEW, EventType.CART, EventType.VIEW, EventType.PURCHASE)
    events = [
        Event(f"again-{user}-{i}", kind, now_ms + i, user, f"p{i % 2}", price_minor=1_000, currency="EUR")
        for number, user in enumerate(read_state(left.redis, left.keys).visitors)
        for i, kind in enumerate(kinds[: 2 + number % 3])
    ]
    producer, topics = make_producer(left.settings), Topics(left.settings.topic_prefix)
    for event in events:
        producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
    assert producer.flush(30) == 0
    return events


def count(left: Left, returned: list[Event]) -> Totals:
    """What there must be, counted anew from the whole log and the events sent since."""
    settings = left.settings
    rules = TotalsRules.of(settings, live=bool(returned))
    send_log, kept_out = SendLog(), 0
    for record, event in golden_events():
        if event.user_id in GONE and not left.applied_before(record):
            kept_out += 1
        else:
            send_log.add(event)
    for event in returned:
        send_log.add(event)
    totals = expected_of(send_log.frame(), rules)
    for user in GONE:
        totals.visitors.pop(user, None)
    totals.counters["forgotten"] = kept_out
    totals.counters["rejected"] = len(broken_records())
    return totals


def refused(left: Left) -> set[str]:
    """Places of the records that have a dead letter, of whichever version: each had another prefix."""
    return {letter_id.partition(".")[2] for letter_id in distinct_letters(left.settings)}


def place(record: Record) -> str:
    return f"{record.topic}-{record.partition}-{record.offset}"


def drop_ends(totals: Totals) -> Counter[str]:
    """Takes the counters of ended sessions out of the totals; returns their sums over the days."""
    sums: Counter[str] = Counter()
    for bucket in [bucket for bucket in totals.buckets if bucket[0] == "shop" and bucket[3] in ENDS]:
        number = totals.buckets.pop(bucket)
        if bucket[1] == "day":
            sums[bucket[3]] += number
    return sums


def assert_each_ended_once(log: list[tuple[str, bytes]], published: list[tuple[str, bytes]]) -> None:
    """Every alert but those of the deleted visitors has one end, in the log for readers and in the topic."""
    steps = Counter(record_id for record_id, _ in log)
    assert max(steps.values()) == 1
    assert dict(log).items() <= dict(published).items()
    alerts = [alert for _, value in log if (alert := decode_alert(value)).user_id != DELETING]
    fired = {alert.alert_id for alert in alerts if alert.state is AlertState.FIRING}
    ended = [alert.alert_id for alert in alerts if alert.state is not AlertState.FIRING]
    assert sorted(fired) == sorted(ended)
    assert len(fired) > 30


def open_alerts(left: Left) -> Counter[str]:
    """How many alerts are open in the state of each visitor who has any."""
    found: Counter[str] = Counter()
    for p in range(left.keys.partitions):
        start = left.keys.visitor_in(p, "")
        for key in left.redis.scan_iter(match=f"{start}*", count=1_000):
            blob: Any = left.redis.get(key)
            state = visitor_values(unpack_visitor(blob))["alert_state"]
            found[key.decode().removeprefix(start)] = len(state["open"])
    return +found


def unended_alerts(left: Left) -> int:
    """Alerts that fired and did not end, by the counters of all partitions and days as the API reads them."""
    buckets = []
    for p in range(left.keys.partitions):
        for key in left.redis.scan_iter(match=f"{left.keys.prefix(p)}q:day:*", count=1_000):
            fields: Any = left.redis.hgetall(key)
            buckets.append({name.decode(): int(number) for name, number in fields.items()})
    sums = add_up(by_version(add_up(buckets)).values())
    figures = [alert_figures(sums, kind) for kind in FLAT_KINDS]
    return sum(each.fired - each.resolved - each.expired for each in figures)
