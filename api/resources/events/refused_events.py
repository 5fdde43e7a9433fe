"""Refused events of senders that are told that all is well: dead letters, so that somebody sees them."""

import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import orjson

from api.resources.events.receipts import Refusal
from contracts.dead_letters import DeadLetter

MAX_OF_REQUEST = 20
"""Letters of one request; the others are counted in the metrics alone."""
_KEPT = frozenset((
    "event_id", "event_type", "event_time", "order_id", "product_id", "price", "currency", "quantity",
    "total", "value", "tax", "shipping", "discount",
))  # fmt: skip
"""What a letter shows of an event: nothing that says who it was, and no free text."""
_MAX_VALUE_CHARS = 128

_numbers = count(time.time_ns() // 1_000)


def letters_of(
    source: str, elements: Sequence[Any], refusals: Sequence[Refusal], now_ms: int
) -> Iterator[DeadLetter]:
    """A letter for each of the first refusals; its topic says which library sent the event."""
    for refusal in refusals[:MAX_OF_REQUEST]:
        value = orjson.dumps(_shown(elements[refusal.index]))
        yield DeadLetter(refusal.code, refusal.detail, source, 0, next(_numbers), None, value, now_ms)


def _shown(element: Any) -> Any:
    if type(element) is not dict:
        return None
    shown = {name: _short(value) for name, value in element.items() if name in _KEPT}
    items = element.get("items")
    if type(items) is list:
        shown["items"] = [_shown(item) for item in items[:MAX_OF_REQUEST]]
    return shown


def _short(value: Any) -> Any:
    if type(value) in (dict, list):
        return f"a JSON {'object' if type(value) is dict else 'array'}"
    return value[:_MAX_VALUE_CHARS] if type(value) is str else value
