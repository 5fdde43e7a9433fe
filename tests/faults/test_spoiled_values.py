"""What others wrote under keys of ours stops nobody but whom it concerns, and is not lost."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contracts.buckets import Metric
from contracts.customers import Customer, pack_customer, unpack_customer
from contracts.events import Event, EventType, encode
from contracts.heartbeat import Heartbeat, from_hash
from contracts.key_families import ORDER, QUARANTINE, VISITOR
from contracts.keys import Keys
from contracts.order_reports import LineReport
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import pack_visitor, unpack_visitor
from golden_files import golden_visitors
from ops.chaos.traffic import make_producer
from ops.chaos.worker_supervisor import WorkerSupervisor
from ops.stack.child import Child
from services import wait_until
from stream.components.orders.orders import Order, pack_order

AT_MS = 1_748_854_800_000
SOUND = golden_visitors()[0].blob


class Shop:
    """An installation of two partitions with one worker, which scores nobody."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self.redis = Redis.from_url(settings.redis_url)
        self.supervisor = WorkerSupervisor(settings, folder)
        self._producer = make_producer(settings)
        self._sent = 0

    def work(self) -> Child:
        """Start the worker."""
        return self.supervisor.add()

    def send(self, *users: str, event_type: EventType = EventType.VIEW, order_id: str | None = None) -> None:
        """An event of each of them."""
        for user in users:
            self._sent += 1
            at_ms = AT_MS + self._sent
            event = Event(
                f"e{self._sent}", event_type, at_ms, user, "p1", None, 100, "EUR", order_id=order_id
            )
            topic = Topics(self.settings.topic_prefix).of(event_type)
            p = partition_of(user, self.settings.partitions)
            self._producer.produce(topic, encode(event), user.encode(), partition=p)
        assert self._producer.flush(30) == 0

    def send_nonsense(self, *partitions: int) -> None:
        """A record that is no event into each of these."""
        topic = Topics(self.settings.topic_prefix).of(EventType.VIEW)
        for p in partitions:
            self._producer.produce(topic, b"no event", b"someone", partition=p)
        assert self._producer.flush(30) == 0

    def meta(self, p: int, name: str) -> int:
        return int(self.redis.hget(self.keys.meta(p), name) or 0)

    def counter(self, name: str) -> int:
        return sum(self.meta(p, name) for p in range(self.settings.partitions))

    def beats(self) -> list[Heartbeat]:
        names: list[Any] = self.redis.zrange(self.keys.workers(), 0, -1)
        found: list[Any] = [self.redis.hgetall(self.keys.worker(name.decode())) for name in names]
        return [from_hash({k.decode(): v.decode() for k, v in one.items()}) for one in found if one]

    def waits(self) -> str:
        """Why partitions stand still, as the worker's heartbeat says."""
        return " ".join(line for beat in self.beats() for line in beat.waits)

    def close(self) -> None:
        self.supervisor.close()
        self.redis.close()


@pytest.fixture
def shop(make_installation: Callable[..., Settings], tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(make_installation(partitions=2, scoring=False), tmp_path)
    yield shop
    shop.close()


def user_of(p: int, name: str = "user") -> str:
    """A visitor whom partition `p` of two owns."""
    return next(user for n in range(100) if partition_of(user := f"{name}{n}", 2) == p)


def visitor_with(**parts: Any) -> bytes:
    return pack_visitor(unpack_visitor(SOUND)._replace(**parts))


TAIL, HEAD = unpack_visitor(SOUND).tail, unpack_visitor(SOUND).head
_NONE: Any = ()
_SOON: Any = ("soon", 0, b"")
SPOILED = {
    "text": b"garbage",
    "empty": b"",
    "zero": b"\x00",
    "cut": SOUND[:-1],
    "half": SOUND[: len(SOUND) // 2],
    "longer": SOUND + b"x",
    "no-msgpack": b"\xff" * 40,
    "wrong-parts": b"\x9a\x09" * 6,
    # A part of these shows only in a step.
    "packed-actions": visitor_with(
        tail=TAIL._replace(packed=TAIL.packed[:-1] + b"\xc1", last=(2**41, 0, b""))
    ),
    "last-action": visitor_with(tail=TAIL._replace(last=_SOON)),
    "counts": visitor_with(head=HEAD._replace(counts=_NONE)),
}
PUTS: dict[str, Callable[[Redis, str], object]] = {
    "list": lambda redis, key: redis.rpush(key, "x"),
    "hash": lambda redis, key: redis.hset(key, "x", "y"),
    "zset": lambda redis, key: redis.zadd(key, {"x": 1}),
    "stream": lambda redis, key: redis.xadd(key, {"x": "y"}),
}
"""What puts a value of another type under a key."""


def await_applied(shop: Shop, number: int) -> None:
    wait_until(lambda: shop.counter("applied") == number, 60, f"{number} events to be counted")


def test_visitors_that_cannot_be_read_are_set_aside_one_by_one_and_begin_anew(shop: Shop) -> None:
    spoiled = {user_of(0, f"{name}-"): name for name in (*SPOILED, *PUTS)}
    for user, name in spoiled.items():
        key = shop.keys.visitor(user)
        shop.redis.set(key, SPOILED[name]) if name in SPOILED else PUTS[name](shop.redis, key)
    worker = shop.work()
    for number, (user, name) in enumerate(spoiled.items(), 1):
        shop.send(user, user_of(0, "neighbour"), user, user_of(1))
        await_applied(shop, 4 * number)
        blob: Any = shop.redis.get(shop.keys.visitor(user))
        assert unpack_visitor(blob).totals.counts[0] == 2, name
        assert shop.counter("quarantined") == number
        kept = shop.keys.quarantine(0, VISITOR + user)
        assert shop.redis.ttl(kept) > 86_400
        if name in SPOILED:
            assert shop.redis.get(kept) == SPOILED[name]
        else:
            assert shop.redis.type(kept) == name.encode()
    assert shop.supervisor.exits == []
    lines = worker.log_path.read_text().splitlines()
    said = [line for line in lines if QUARANTINE in line]
    assert len(said) == len(spoiled)
    assert not [line for line in said for user in spoiled if user in line]
    assert not [line for line in lines if "Traceback" in line]


def test_so_are_customers_and_orders_at_which_a_step_fails(shop: Shop) -> None:
    user = user_of(0)
    customer = Customer(AT_MS, AT_MS, units="many")  # type: ignore[arg-type]
    shop.redis.set(shop.keys.customer(user), pack_customer(customer))
    line = LineReport("00" * 8, AT_MS, "p1", "many", 1, "EUR", "00" * 8, "00" * 8, ())  # type: ignore[arg-type]
    order = shop.keys.prefix(partition_of("o1", 2)) + ORDER + "o1"
    shop.redis.set(order, pack_order(Order((line, line))))
    shop.work()
    shop.send(user, event_type=EventType.PURCHASE, order_id="o1")
    wait_until(lambda: shop.counter("quarantined") == 2, 60, "both to be set aside")
    wait_until(lambda: shop.redis.exists(order) == 1, 30, "the order to begin anew")
    assert shop.counter("applied") == 1
    assert unpack_customer(shop.redis.get(shop.keys.customer(user))).n_orders == 1  # type: ignore[arg-type]
    assert shop.supervisor.exits == []


def test_a_bucket_of_another_type_stops_its_partition_alone_until_it_is_mended(shop: Shop) -> None:
    key = shop.keys.shop_bucket(0, "minute", AT_MS)
    shop.redis.set(key, "not a hash")
    worker = shop.work()
    shop.send(*[user_of(0)] * 10, *[user_of(1)] * 10, event_type=EventType.PURCHASE)
    wait_until(lambda: key in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "applied") == 10, 30, "the other partition to go on")
    assert shop.meta(0, "applied") == 0
    assert shop.redis.get(key) == b"not a hash"
    shop.redis.delete(key)
    wait_until(lambda: shop.meta(0, "applied") == 10, 30, "the partition to go on")
    wait_until(lambda: not shop.waits(), 10, "the worker to say that nothing waits")
    assert shop.redis.hget(key, Metric.UNITS) == b"10"
    assert shop.supervisor.exits == []
    log = worker.log_path.read_text()
    assert log.count("partition 0 is blocked") == 1
    assert log.count("partition 0 continues") == 1
    assert "Traceback" not in log


@pytest.mark.parametrize("name", ["meta", "due", "forgotten", "active"])
def test_so_does_any_other_key_that_many_share(shop: Shop, name: str) -> None:
    key = shop.keys.prefix(0) + name
    shop.redis.set(key, "spoiled")
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: key in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "applied") == 1, 30, "the other partition to go on")
    shop.redis.delete(key)
    wait_until(lambda: shop.meta(0, "applied") == 1, 30, "the partition to go on")
    assert shop.supervisor.exits == []


def test_so_does_an_offset_that_is_no_number(shop: Shop) -> None:
    field = f"off:{Topics(shop.settings.topic_prefix).of(EventType.VIEW)}"
    shop.redis.hset(shop.keys.meta(0), field, "spoiled")
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: shop.keys.meta(0) in shop.waits(), 60, "the worker to say why it waits")
    shop.redis.hdel(shop.keys.meta(0), field)
    wait_until(lambda: shop.counter("applied") == 2, 30, "both partitions to go on")
    assert shop.supervisor.exits == []


@pytest.mark.parametrize("name", ["max_event_ms", "broker_ms"])
def test_so_does_a_time_that_cannot_be(shop: Shop, name: str) -> None:
    shop.redis.hset(shop.keys.meta(0), name, "9" * 30)
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: shop.keys.meta(0) in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "applied") == 1, 30, "the other partition to go on")
    shop.redis.hdel(shop.keys.meta(0), name)
    wait_until(lambda: shop.counter("applied") == 2, 30, "both partitions to go on")
    assert shop.supervisor.exits == []


def test_so_does_what_a_component_cannot_read_and_its_key_is_named(shop: Shop) -> None:
    key = shop.keys.forgotten(0)
    shop.redis.hset(key, b"\xff", "spoiled")
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: "under forgotten" in shop.waits(), 60, "the worker to say why it waits")
    shop.redis.delete(key)
    wait_until(lambda: shop.counter("applied") == 2, 30, "both partitions to go on")
    assert shop.supervisor.exits == []


def test_item_counts_of_no_text_stop_nothing(shop: Shop) -> None:
    shop.redis.hset(shop.keys.prefix(0) + "item_counts", mapping={b"\xff": b"\xfe", b"pp1": b"-1 x"})
    shop.work()
    shop.send(user_of(0))
    wait_until(lambda: shop.counter("applied") == 1, 60, "the event to be counted")
    assert shop.supervisor.exits == []


def test_so_does_an_epoch_that_is_no_number(shop: Shop) -> None:
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: shop.counter("applied") == 2, 60, "both partitions to count")
    epoch = shop.redis.hget(shop.keys.meta(0), "epoch")
    shop.redis.hset(shop.keys.meta(0), "epoch", "spoiled")
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: shop.keys.meta(0) in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "applied") == 2, 30, "the other partition to go on")
    shop.redis.hset(shop.keys.meta(0), "epoch", epoch)
    wait_until(lambda: shop.meta(0, "applied") == 2, 30, "the partition to go on")
    assert shop.supervisor.exits == []


def test_so_does_an_outbox_whose_ids_are_used_up_and_nothing_counts_twice(shop: Shop) -> None:
    key = shop.keys.outbox(0)
    shop.redis.xadd(key, {"x": "y"}, id=f"{2**64 - 1}-{2**64 - 1}")
    shop.work()
    shop.send(user_of(0), user_of(1), event_type=EventType.PURCHASE)
    shop.send_nonsense(0)
    wait_until(lambda: key in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "applied") == 1, 30, "the other partition to go on")
    shop.redis.delete(key)
    wait_until(lambda: shop.meta(0, "rejected") == 1, 30, "the partition to go on")
    assert shop.meta(0, "applied") == 1
    assert shop.redis.hget(shop.keys.shop_bucket(0, "minute", AT_MS), Metric.UNITS) == b"1"
    assert shop.supervisor.exits == []


def test_what_lies_among_the_timers_and_names_nobody_is_removed(shop: Shop) -> None:
    shop.redis.zadd(shop.keys.due(0), {b"\xff\xfe": 1, b"nobody": 2})
    shop.work()
    shop.send(user_of(0))
    wait_until(lambda: shop.counter("applied") == 1, 60, "the event to be counted")
    timers = [user_of(0).encode()]
    wait_until(
        lambda: shop.redis.zrange(shop.keys.due(0), 0, -1) == timers, 30, "the timers to be those of visitors"
    )
    assert shop.supervisor.exits == []


def test_an_entry_of_the_outbox_that_is_none_stops_no_other(shop: Shop) -> None:
    shop.redis.xadd(shop.keys.outbox(0), {"x": "y"})
    shop.work()
    shop.send_nonsense(0)
    wait_until(lambda: shop.counter("rejected") == 1, 60, "the dead letter")
    wait_until(lambda: shop.redis.xlen(shop.keys.outbox(0)) == 0, 30, "the outbox to be published")
    assert shop.redis.xlen(shop.keys.quarantine(0, "outbox")) == 1
    assert shop.supervisor.exits == []


def test_what_kafka_never_takes_from_an_outbox_holds_up_nothing(shop: Shop) -> None:
    topic = Topics(shop.settings.topic_prefix).rejected
    spoiled = [
        {"topic": "nobodys-topic", "key": "k", "id": "1", "value": "v"},
        {"topic": "a name with blanks", "key": "k", "id": "1", "value": "v"},
        {"topic": topic, "key": "", "id": "1", "value": ""},
        {"topic": topic, "key": "k", "id": "1", "value": "v" * 3_000_000},
    ]
    for fields in spoiled:
        shop.redis.xadd(shop.keys.outbox(0), fields)  # type: ignore[arg-type]
    shop.work()
    shop.send_nonsense(0)
    wait_until(lambda: shop.counter("rejected") == 1, 60, "the dead letter")
    wait_until(lambda: shop.redis.xlen(shop.keys.outbox(0)) == 0, 30, "the outbox to be published")
    assert shop.redis.xlen(shop.keys.quarantine(0, "outbox")) == len(spoiled)
    assert shop.supervisor.exits == []


def test_timers_of_an_impossible_time_stop_no_claim(shop: Shop) -> None:
    for p, score in enumerate(("-inf", "inf")):
        shop.redis.zadd(shop.keys.due(p), {"nobody": score})
    shop.work()
    shop.send(user_of(0), user_of(1))
    wait_until(lambda: shop.counter("applied") == 2, 60, "both events to be counted")
    assert shop.supervisor.exits == []


def test_an_outbox_of_another_type_keeps_its_own_letters_only(shop: Shop) -> None:
    key = shop.keys.outbox(0)
    shop.redis.set(key, "spoiled")
    shop.work()
    shop.send_nonsense(0, 1)
    wait_until(lambda: key in shop.waits(), 60, "the worker to say why it waits")
    wait_until(lambda: shop.meta(1, "rejected") == 1, 30, "the other partition to go on")
    wait_until(lambda: shop.redis.xlen(shop.keys.outbox(1)) == 0, 30, "its letter to be published")
    shop.redis.delete(key)
    wait_until(lambda: shop.meta(0, "rejected") == 1, 30, "the partition to go on")
    wait_until(lambda: shop.redis.xlen(key) == 0, 30, "its letter to be published")
    assert shop.supervisor.exits == []
