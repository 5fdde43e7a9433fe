"""Customers who browse as guests, log in on two devices, buy, log out and come back; and what they sent."""

import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from contracts.clock import wall_clock_ms
from contracts.events import LOGGED_OUT, Event, EventType, encode
from contracts.partitioning import partition_of
from contracts.topics import Topics
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import make_producer

RANKS = {EventType.VIEW: 0, EventType.CART: 2, EventType.PURCHASE: 4}


@dataclass
class Written:
    """What was sent, counted by the sender."""

    counts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    orders: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    devices: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    carts: set[str] = field(default_factory=set)
    n_events: int = 0


class Shoppers:
    """Sends what customers and guests do; a phase takes `phase_s`, the last begins after `return_s`."""

    def __init__(
        self, system: SystemUnderTest, customers: int, guests: int, phase_s: float, return_s: float
    ) -> None:
        self._customers, self._guests = customers, guests
        self._phase_s, self._return_s = phase_s, return_s
        self.written = Written()
        self._producer = make_producer(system.settings)
        self._topics = Topics(system.settings.topic_prefix)
        self._partitions = system.settings.partitions
        self._draw = random.Random(5)
        self.n_away = 0

    def run(self) -> None:
        """All phases: arrive, buy, return."""
        begun_s = time.monotonic()
        starts_s = (0.0, self._phase_s, self._return_s)
        for phase, wait_s in zip((self._arrive, self._buy, self._return), starts_s, strict=True):
            time.sleep(max(0.0, begun_s + wait_s - time.monotonic()))
            started_s = time.monotonic()
            for n in range(self._customers):
                phase(n, f"cust-{n:05}", f"phone-{n:05}", f"laptop-{n:05}")
                self._producer.poll(0)
                time.sleep(max(0.0, started_s + n * self._phase_s / self._customers - time.monotonic()))
        assert self._producer.flush(120) == 0

    def _arrive(self, n: int, customer: str, phone: str, laptop: str) -> None:
        self._send("view", phone, None, "p1")
        self._send("cart", phone, None, "p1")
        self._log_in(n, phone, customer)
        self._send("cart", phone, customer, "p2")
        self._send("view", laptop, None, "p3")
        self._send("view", laptop, customer, "p1")
        self._send("cart", laptop, customer, "p1")
        if n < self._guests:
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
        event_type = EventType.VIEW if kind == "identify" else EventType[kind.upper()]
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
