"""Made-up events for a test of exactness: short visits, some disorder, and records to be refused."""

import random

from contracts.events import MAX_EVENT_BYTES, Event, EventType

PRODUCTS = 500
ACTIVE_VISITORS = 2_000
MAX_EVENTS_OF_VISITOR = 60
"""Less than a visitor's state keeps open, so that it is exact for any order of arrival, after any outage."""

_KINDS = (
    *[EventType.VIEW] * 68,
    *[EventType.FAVORITE] * 5,
    *[EventType.CART] * 13,
    *[EventType.REMOVE_FROM_CART] * 4,
    *[EventType.PURCHASE] * 10,
)
_CURRENCIES = ("EUR", "EUR", "EUR", "USD", "JPY", "KWD")


class Shoppers:
    """A seeded source of events; at most `MAX_EVENTS_OF_VISITOR` of each visitor."""

    def __init__(self, seed: int, *, active: int = ACTIVE_VISITORS) -> None:
        self._random = random.Random(seed)
        self._name = f"{seed:x}"
        self._made = 0
        self._visitors = 0
        self._active = [self._new_visitor() for _ in range(active)]

    def next_event(self, now_ms: int, *, spread_ms: int) -> Event:
        """An event that happened up to `spread_ms` ago (one in fifty: four times that)."""
        draw = self._random
        place = int(draw.random() * len(self._active))
        user, left = self._active[place]
        self._active[place] = (user, left - 1) if left > 1 else self._new_visitor()
        self._made += 1
        late_ms = int(draw.random() * spread_ms * (4 if self._made % 50 == 0 else 1))
        kind = _KINDS[int(draw.random() * len(_KINDS))]
        priced = draw.random() < 0.95
        bought = kind is EventType.PURCHASE
        product = int(draw.random() ** 2 * PRODUCTS)
        if bought:  # an order's lines are of different products
            product += left % 4 - product % 4
        return Event(
            event_id=f"{self._name}-{self._made}",
            event_type=kind,
            event_time_ms=now_ms - late_ms,
            user_id=user,
            product_id=f"p{product}",
            session_id=f"{user}-{left // 10}" if self._made % 3 else None,
            price_minor=int(draw.random() * 20_000) if priced else None,
            currency=draw.choice(_CURRENCIES) if priced else None,
            quantity=1 + int(draw.random() * 3) if kind not in (EventType.VIEW, EventType.FAVORITE) else 1,
            category="things",
            order_id=f"{user}-o{left // 4}" if bought and self._made % 2 else None,
        )

    def _new_visitor(self) -> tuple[str, int]:
        self._visitors += 1
        return f"v{self._name}-{self._visitors}", self._random.randint(2, MAX_EVENTS_OF_VISITOR)


def broken_record(number: int, key: bytes, good: bytes) -> tuple[bytes | None, bytes | None]:
    """Key and value of the `number`-th record to be refused, made of a `good` one of the visitor `key`."""
    kinds: tuple[tuple[bytes | None, bytes | None], ...] = (
        (key, b"not json at all"),
        (key, None),
        (key, b"[1, 2, 3]"),
        (key, good.replace(b'"event_type":"', b'"event_type":"un')),
        (key, good.replace(b'"event_time":', b'"event_time":"2024-01-01T00:00:00","was":')),
        (key, good.replace(b'"event_time":', b'"event_time":9')),
        (key, good[:-1] + b',"quantity":0}'),
        (key, good[:-1] + b',"price":"minus","currency":"EUR"}'),
        (key, good[:-1] + b',"price":true,"currency":"EUR"}'),
        (key, good[:-1] + b',"price":"NaN","currency":"EUR"}'),
        (key, good[:-1] + b',"user_id":""}'),
        (key, good[:-1] + b',"note":"' + b"x" * MAX_EVENT_BYTES + b'"}'),
        (key, b'{"event_id":"\xff\xfe"}'),
        (b"somebody-else", good),
        (None, good),
    )
    return kinds[number % len(kinds)]
