"""Refunds that Kafka has before their orders come to what was paid, for customers, visitors and the shop.

`TEST_CUSTOMERS` says how many.
"""

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from contracts.clock import wall_clock_ms
from contracts.customers import unpack_customer
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import REFUNDED, unpack_visitor
from ops.chaos.traffic import make_producer
from readers.reader import refunded_of
from running_worker import running_worker
from services import wait_until

pytestmark = pytest.mark.slow

CUSTOMERS = int(os.environ.get("TEST_CUSTOMERS", "1000"))
OF_NO_DEVICE = 3
"""Every so many customers buy under their own id."""


class Told:
    """Events of customers, in the order in which they are sent, and what they come to."""

    def __init__(self, seed: int, now_ms: int) -> None:
        self._draw, self._now_ms, self._number = random.Random(seed), now_ms, 0
        self.views: list[Event] = []
        self.lines: list[Event] = []
        self.refunds: list[Event] = []
        self.paid: dict[str, Counter[str]] = {}
        self.refunded: dict[str, Counter[str]] = {}
        self.visitors: dict[str, str] = {}

    def make(self, number: int) -> None:
        """Everything of one customer."""
        customer = f"customer-{number}"
        device = None if number % OF_NO_DEVICE == 0 else f"device-{number}"
        self.visitors[customer] = device or customer
        self.paid[customer], self.refunded[customer] = Counter(), Counter()
        ids = {"user_id": device or customer, "customer_id": customer if device else None}
        self.views.append(self._event(EventType.VIEW, "p0", **ids))
        for n in range(self._draw.randint(1, 4)):
            self._order(customer, f"o{number}-{n}", ids)

    def _order(self, customer: str, order_id: str, ids: dict[str, Any]) -> None:
        draw, currency = self._draw, self._draw.choice(("EUR", "JPY"))
        ids = {**ids, "order_id": order_id}
        lines = [
            self._event(
                EventType.PURCHASE, f"p{n}", price_minor=draw.randint(1, 9_999), currency=currency,
                quantity=draw.randint(1, 3), **ids,
            )
            for n in range(draw.randint(1, 3))
        ]  # fmt: skip
        self.lines += [*lines, *draw.sample(lines, draw.randint(0, 1))]
        paid = sum((line.price_minor or 0) * line.quantity for line in lines)
        self.paid[customer][currency] += paid
        kind = draw.choice(("none", "whole", "amount", "too much", "pieces", "amount and whole", "other"))
        amount, pieces = draw.randint(1, paid), draw.randint(1, lines[0].quantity)
        backs: dict[str, list[dict[str, Any]]] = {
            "none": [],
            "whole": [{}],
            "amount": [{"price_minor": amount, "currency": currency}],
            "too much": [{"price_minor": paid + 1, "currency": currency}],
            "pieces": [{"product_id": "p0", "quantity": pieces}],
            "amount and whole": [{"price_minor": amount, "currency": currency}, {}],
            "other": [{"price_minor": 7, "currency": "KWD"}],
        }
        refunds = [
            self._event(EventType.REFUND, **{"product_id": ""} | ids | fields) for fields in backs[kind]
        ]
        self.refunds += [*refunds, *draw.sample(refunds, draw.randint(0, len(refunds)))]
        sums = {"none": 0, "amount": amount, "pieces": pieces * (lines[0].price_minor or 0), "other": 0}
        self.refunded[customer][currency] += sums.get(kind, paid)
        self.refunded[customer]["KWD"] += 7 if kind == "other" else 0

    def _event(self, kind: EventType, product_id: str, **fields: Any) -> Event:
        self._number += 1
        at_ms = self._now_ms - self._draw.randint(0, 30_000)
        return Event(f"e{self._number}", kind, at_ms, product_id=product_id, **fields)


def test_refunds_before_their_orders_come_to_what_was_paid(make_installation: Any, tmp_path: Path) -> None:
    settings: Settings = make_installation(partitions=4, scoring=False)
    client, keys = Redis.from_url(settings.redis_url), Keys(settings.namespace, settings.partitions)
    told = Told(7, wall_clock_ms())
    for number in range(CUSTOMERS):
        told.make(number)
    producer, topics = make_producer(settings), Topics(settings.topic_prefix)

    def send(events: list[Event]) -> None:
        for event in events:
            producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
            producer.poll(0)
        assert producer.flush(60) == 0

    def differences() -> list[tuple[object, ...]]:
        found: list[tuple[object, ...]] = []
        blobs: list[Any] = client.mget([keys.customer(customer) for customer in told.visitors])
        states: list[Any] = client.mget([keys.visitor(visitor) for visitor in told.visitors.values()])
        for customer, blob, state in zip(told.visitors, blobs, states, strict=True):
            paid, refunded = dict(told.paid[customer]), dict(+told.refunded[customer])
            if not isinstance(blob, bytes) or not isinstance(state, bytes):
                found.append((customer, "is missing"))
                continue
            record, extra = unpack_customer(blob), unpack_visitor(state).extra
            sums = (record.revenue_minor, record.refunded_minor, extra.get(REFUNDED, {}))
            if sums != (paid, refunded, refunded):
                found.append((customer, *sums, "in place of", paid, refunded))
        return found

    def shop_refunded() -> dict[str, int]:
        sums: Counter[str] = Counter()
        for key in client.scan_iter(match=f"{settings.namespace}:*s:day:*", count=1_000):
            fields: Any = client.hgetall(key)
            sums.update(refunded_of({name.decode(): int(number) for name, number in fields.items()}))
        return dict(+sums)

    with running_worker(settings, tmp_path) as worker:
        send(told.views)
        wait_until(lambda: applied(client, keys) == CUSTOMERS, 60, "the views to be applied")
        send(told.refunds)
        worker.kill()  # -9
        worker.start()
        send(told.lines)
        try:
            wait_until(lambda: not differences(), 120, "all sums")
        except pytest.fail.Exception:
            assert differences()[:3] == [], worker.log_tail()
            raise
        expected = sum(told.refunded.values(), Counter())
        wait_until(lambda: shop_refunded() == dict(+expected), 60, "the shop's sum")
    client.close()


def applied(client: Redis, keys: Keys) -> int:
    counts: list[Any] = [client.hget(keys.meta(p), "applied") for p in range(keys.partitions)]
    return sum(int(count or 0) for count in counts)
