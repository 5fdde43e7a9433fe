"""Refunds of simulated orders, some while after them: the whole order, pieces of a line, or an amount."""

import heapq
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from contracts.events import Event, EventType
from producers.simulator.profiles import LogNormal

CANCELLED, RETURNED = 0.02, 0.06
"""Shares of orders that are cancelled soon, and that are sent back days later."""
CANCELLED_AFTER_S = LogNormal(900.0, 1.0)
RETURNED_AFTER_S = LogNormal(6 * 86_400.0, 0.5)
_KINDS, _WEIGHTS = ("whole", "line", "amount"), (0.3, 0.5, 0.2)
"""Of what is sent back; what is cancelled is so as a whole."""
_SEED = 0x7265_6675


class _Due(NamedTuple):
    at_ms: int
    number: int
    event: Event
    amount_minor: int


@dataclass(slots=True)
class Refunds:
    """Makes refunds, the same for the same events and seed; other events stay as they are.

    An order is refunded once at most.
    """

    seed: int
    _last: tuple[str, int] = ("", 0)

    def among(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events in time order with the refunds that are due before the last of them."""
        rng = random.Random(self.seed ^ _SEED)
        due: list[_Due] = []
        order: list[Event] = []
        number = 0
        for event in events:
            if order and event.order_id != order[0].order_id:
                number += 1
                self._decide(order, rng, due, number)
                order = []
            while due and due[0].at_ms <= event.event_time_ms:
                yield self._give(heapq.heappop(due))
            if event.event_type is EventType.PURCHASE:
                order.append(event)
            yield event

    def amount_minor(self, event: Event) -> int:
        """What goes back by the newest refund, which may not say it itself; 0 for any other event."""
        event_id, amount_minor = self._last
        return amount_minor if event.event_id == event_id else 0

    def _give(self, refund: _Due) -> Event:
        self._last = refund.event.event_id, refund.amount_minor
        return refund.event

    def _decide(self, order: list[Event], rng: random.Random, due: list[_Due], number: int) -> None:
        lot = rng.random()
        if lot >= CANCELLED + RETURNED:
            return
        is_cancelled = lot < CANCELLED
        after_s = CANCELLED_AFTER_S if is_cancelled else RETURNED_AFTER_S
        wait_ms = round(after_s.median * math.exp(rng.gauss(0.0, after_s.sigma)) * 1_000)
        kind = "whole" if is_cancelled else rng.choices(_KINDS, _WEIGHTS)[0]
        event, amount_minor = _refund(order, kind, rng)
        at_ms = order[0].event_time_ms + max(60_000, wait_ms)
        reason = {"reason": "cancelled" if is_cancelled else "returned"}
        event = event._replace(event_time_ms=at_ms, extra=reason)
        heapq.heappush(due, _Due(at_ms, number, event, amount_minor))


def _refund(order: list[Event], kind: str, rng: random.Random) -> tuple[Event, int]:
    """A refund of an order and what it comes to."""
    first, total_minor = order[0], sum(_paid_minor(line) for line in order)
    whole = Event(
        event_id=f"{rng.getrandbits(96):024x}",
        event_type=EventType.REFUND,
        event_time_ms=first.event_time_ms,
        user_id=first.user_id,
        product_id="",
        currency=first.currency,
        order_id=first.order_id,
        customer_id=first.customer_id,
    )
    if kind == "line":
        line = rng.choice(order)
        pieces = rng.randint(1, line.quantity)
        refund = whole._replace(product_id=line.product_id, quantity=pieces)
        return refund, pieces * (line.price_minor or 0)
    if kind == "amount":
        amount_minor = max(1, round(total_minor * rng.choice((0.1, 0.2, 0.5))))
        return whole._replace(price_minor=amount_minor), amount_minor
    return whole, total_minor


def _paid_minor(line: Event) -> int:
    return line.quantity * (line.price_minor or 0)
