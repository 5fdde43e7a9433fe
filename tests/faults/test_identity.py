"""Visitors browse, log in, buy, log out and come back, while worker, Redis and broker are killed.

What is in Redis afterwards is compared with what the senders themselves wrote down.
"""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from api.registry import find_scrubbers
from api.resources.customers.unlinking import unlink
from api.resources.privacy.job import DeletionJob, JobStatus
from api.resources.privacy.jobs import DeletionJobs
from api.resources.privacy.linked import open_deletions
from api.resources.privacy.remover import Remover
from contracts.alerts import AlertState, decode_alert
from contracts.clock import wall_clock_ms
from contracts.customers import Customer, unpack_customer
from contracts.events import LOGGED_OUT, Event, EventType, encode
from contracts.keys import Metric
from contracts.partitioning import partition_of
from contracts.topics import Topics
from contracts.visitor import Visitor, unpack_visitor
from ops.audit import read_log
from ops.chaos.faults import kill_broker, kill_redis, kill_worker
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import make_producer
from ops.stack.broker import KafkaBroker
from readers.customers import find_visitor
from readers.id_search import Needle, search
from readers.reader import Reader
from system_questions import ask, replay

OpenSystem = Callable[..., SystemUnderTest]

CUSTOMERS, GUESTS = 1_200, 300
IDLE_MS, CART_IDLE_MS = 50_000, 45_000
PHASE_S = 12.0
RANKS = {EventType.VIEW: 0, EventType.CART: 2, EventType.PURCHASE: 4}


@dataclass
class Written:
    """What was sent, counted by the sender."""

    counts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    visits: dict[str, int] = field(default_factory=dict)
    orders: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    devices: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    carts: set[str] = field(default_factory=set)
    n_events: int = 0


class Shoppers:
    """Sends what everybody does, at the pace of a phase in `PHASE_S`; `times` says when each phase begins."""

    def __init__(self, system: SystemUnderTest) -> None:
        self.written = Written()
        self._producer = make_producer(system.settings)
        self._topics = Topics(system.settings.topic_prefix)
        self._partitions = system.settings.partitions
        self._draw = random.Random(5)
        self.n_away = 0

    def run(self) -> None:
        """All phases; the last one begins when the sessions of the first are over."""
        begun_s = time.monotonic()
        for phase, wait_s in ((self._arrive, 0.0), (self._buy, PHASE_S), (self._return, 2 * IDLE_MS / 1_000)):
            time.sleep(max(0.0, begun_s + wait_s - time.monotonic()))
            started_s = time.monotonic()
            for n in range(CUSTOMERS):
                phase(n, f"cust-{n:05}", f"phone-{n:05}", f"laptop-{n:05}")
                self._producer.poll(0)
                time.sleep(max(0.0, started_s + n * PHASE_S / CUSTOMERS - time.monotonic()))
        assert self._producer.flush(120) == 0

    def _arrive(self, n: int, customer: str, phone: str, laptop: str) -> None:
        self._send("view", phone, None, "p1")
        self._send("cart", phone, None, "p1")
        self._log_in(n, phone, customer)
        self._send("cart", phone, customer, "p2")
        self._send("view", laptop, None, "p3")
        self._send("view", laptop, customer, "p1")
        self._send("cart", laptop, customer, "p1")
        if n < GUESTS:
            self._send("cart", f"guest-{n:05}", None, "p1")

    def _buy(self, n: int, customer: str, phone: str, laptop: str) -> None:
        order = f"order-{n}"
        if n % 4 == 0:
            self._send("purchase", phone, customer, "p1", order=order)
            self._send("purchase", phone, customer, "p2", order=order)
        elif n % 4 == 1:
            self._send("purchase", laptop, customer, "p1", order=order)
        elif n % 4 == 2:  # a server, which knows no device
            self._send("purchase", None, customer, "p1", order=order)
        if n % 4 != 3:
            self.written.carts -= {phone, laptop}

    def _return(self, n: int, customer: str, phone: str, _: str) -> None:
        self._send("identify", phone, LOGGED_OUT, "")
        self._send("view", phone, None, "p9")
        if n % 2:
            self._log_in(n, phone, customer)
            self._send("purchase", phone, customer, "p9", order=f"again-{n}")

    def _log_in(self, n: int, device: str, customer: str) -> None:
        if n % 3:
            self._send("identify", device, customer, "")

    def _send(
        self, kind: str, device: str | None, customer: str | None, product: str, order: str = ""
    ) -> None:
        written, n = self.written, self.written.n_events
        written.n_events += 1
        is_named = customer not in (None, LOGGED_OUT)
        visitor = device or str(customer)
        event_type = EventType.VIEW if kind == "identify" else EventType(kind)
        event = Event(
            f"e{n}", event_type, wall_clock_ms(), visitor, product,
            price_minor=100 + n % 7, currency="EUR", order_id=order or None,
            customer_id=None if device is None else customer or "",
        )  # fmt: skip
        value = encode(event)
        if kind == "identify":
            value = value.replace(b'"event_type":"view"', b'"event_type":"identify"')
        else:
            written.counts[visitor][RANKS[event_type]] += 1
            if kind == "cart":
                written.carts.add(visitor)
            if kind == "purchase":
                orders = written.orders[str(customer)]
                orders[order] = orders.get(order, 0) + (event.price_minor or 0)
        if device is not None and is_named:
            written.devices[str(customer)].add(device)
        key = str(customer) if device is not None and is_named and self._draw.random() < 0.3 else visitor
        self.n_away += partition_of(key, self._partitions) != partition_of(visitor, self._partitions)
        for _ in range(1 + (n % 50 == 0)):  # some are sent twice
            self._producer.produce(self._topics.of(event_type), value, key.encode())


def visitors_of(system: SystemUnderTest, ids: list[str]) -> dict[str, Visitor]:
    blobs = {id_: system.client.get(system.keys.visitor(id_)) for id_ in ids}
    return {id_: unpack_visitor(blob) for id_, blob in blobs.items() if isinstance(blob, bytes)}


def customers_of(system: SystemUnderTest, ids: list[str]) -> dict[str, Customer]:
    blobs = {id_: system.client.get(system.keys.customer(id_)) for id_ in ids}
    return {id_: unpack_customer(blob) for id_, blob in blobs.items() if isinstance(blob, bytes)}


def difference(system: SystemUnderTest, written: Written) -> list[str]:
    """What is not as it was written down, in words."""
    found = visitors_of(system, list(written.counts))
    wrong = []
    for id_, counts in written.counts.items():
        seen = dict(enumerate(found[id_].totals.counts)) if id_ in found else {}
        if {rank: number for rank, number in seen.items() if number} != dict(counts):
            wrong.append(f"{id_}: {seen}, not {dict(counts)}")
    customers = customers_of(system, list(written.devices))
    for id_ in written.devices:
        customer = customers.get(id_)
        if customer is None:
            wrong.append(f"{id_}: no record")
            continue
        orders = {
            str(order.order_id): sum((line.price_minor or 0) * line.quantity for line in order.lines)
            for order in customer.orders
        }
        totals = (customer.n_orders, customer.revenue_minor.get("EUR", 0))
        expected = written.orders.get(id_, {})
        if orders != expected or totals != (len(expected), sum(expected.values())):
            wrong.append(f"{id_}: {orders}, {totals}, not {expected}")
        if {device.visitor_id for device in customer.devices} != written.devices[id_]:
            wrong.append(f"{id_}: devices {customer.devices}")
    return wrong


def shop_total(system: SystemUnderTest, metric: str) -> int:
    total = 0
    for p in range(system.keys.partitions):
        for name in system.client.scan_iter(f"{system.keys.prefix(p)}s:hour:*"):
            value = system.client.hget(name, metric)
            total += int(value) if isinstance(value, bytes) else 0
    return total


def finish(system: SystemUnderTest, user: str) -> DeletionJob:
    """Delete a customer and whoever is linked, until all of it is done."""

    async def question(reader: Reader) -> DeletionJob:
        remover = Remover(reader, find_scrubbers(reader.settings))
        job = await open_deletions(reader, DeletionJobs(reader), user)
        deadline = time.monotonic() + 60
        while job.status is not JobStatus.DONE:
            assert time.monotonic() < deadline, job
            await remover.advance()
            job = await remover.jobs.get(job.deletion_id) or job
        return job

    return ask(system, question)


def test_devices_and_customers_are_counted_as_they_were_sent(
    open_shop: OpenSystem, private_kafka: KafkaBroker
) -> None:
    system = open_shop(
        workers=2, broker=private_kafka, scoring=False, idle_ms=IDLE_MS, cart_idle_ms=CART_IDLE_MS,
        alert_cooldown_ms=600_000, cart_recovery_ms=600_000, disorder_ms=15_000,
    )  # fmt: skip
    shoppers, draw = Shoppers(system), random.Random(3)
    written = shoppers.written
    thread = threading.Thread(target=shoppers.run)
    thread.start()
    for fault, pause_s in (
        (kill_worker, 4),
        (kill_redis, 5),
        (kill_worker, 5),
        (kill_broker, 40),
        (kill_redis, 20),
    ):
        time.sleep(pause_s)
        fault(system, draw)
    thread.join()
    system.await_that(lambda: difference(system, written) == [], 90, "everything as it was written down")
    assert shoppers.n_away > 500
    assert system.counter("forwarded") >= shoppers.n_away
    orders = sum(len(orders) for orders in written.orders.values())
    money = sum(sum(orders.values()) for orders in written.orders.values())
    assert (shop_total(system, Metric.ORDERS), shop_total(system, "m.EUR")) == (orders, money)

    visitors = visitors_of(system, list(written.counts))
    devices = {id_: visitor for id_, visitor in visitors.items() if not id_.startswith(("cust", "guest"))}
    assert Counter((id_.split("-")[0], v.head.number) for id_, v in devices.items()) == {
        ("phone", 2): CUSTOMERS, ("laptop", 1): CUSTOMERS,
    }  # fmt: skip
    assert shop_total(system, Metric.SESSIONS) == sum(visitor.head.number for visitor in visitors.values())
    alerts = [decode_alert(value) for _, value in read_log(system.client, system.keys)]
    abandoned = {alert.user_id: alert.customer_id for alert in alerts if alert.state is AlertState.FIRING}
    assert set(abandoned) == written.carts
    assert all(owner is None or written.devices[owner] >= {id_} for id_, owner in abandoned.items())
    assert sum(owner is not None for owner in abandoned.values()) >= CUSTOMERS // 4

    found = ask(system, lambda reader: find_visitor(reader, "cust-00001"))
    assert found is not None
    assert (found.visitor_id, found.customer_id) == ("phone-00001", "cust-00001")

    ask(system, lambda reader: unlink(reader, "cust-00005", "phone-00005"))
    system.await_that(
        lambda: (
            [d.visitor_id for d in customers_of(system, ["cust-00005"])["cust-00005"].devices]
            == ["laptop-00005"]
            and system.client.exists(system.keys.visitor("phone-00005")) == 1
        ),
        30,
        "the device to be unlinked",
    )

    gone = ["cust-00001", "phone-00001", "laptop-00001"]
    job = finish(system, "phone-00001")
    assert len(job.parts) == 2
    assert places_of(system, gone) == [set()] * 3

    again = replay(system, 1)
    again.supervisor.add()
    try:
        for id_ in gone:
            written.counts.pop(id_, None)
            written.devices.pop(id_, None)
            written.orders.pop(id_, None)
        written.devices["cust-00005"].discard("phone-00005")
        again.await_that(lambda: difference(again, written) == [], 120, "the others as they were")
        assert places_of(again, gone) == [set()] * 3
        assert difference(system, written) == []
    finally:
        again.supervisor.close()
        again.client.close()


def places_of(system: SystemUnderTest, ids: list[str]) -> list[set[str]]:
    async def question(reader: Reader) -> list[set[str]]:
        found = await search(reader.redis, reader.keys, [Needle(id_) for id_ in ids])
        return [{place.key for place in places} for places in found]

    return ask(system, question)
