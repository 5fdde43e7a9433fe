"""From the body of a request to baskets: what is taken, what is refused and why."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from api.http.element_lists import invalid, list_in, open_object, raise_refusals, refuse_element
from contracts.fields import (
    EARLIEST_MS,
    MAX_AHEAD_MS,
    InvalidEvent,
    identifier,
    kind_of,
    parse_time,
    time_out_of_range,
)

MAX_BASKETS = 100
MAX_ITEMS = 250
"""Products of one basket."""
MAX_LINES = 5_000
"""Products of all baskets together."""
MAX_LIMIT = 100
DEFAULT_LIMIT = 10
MAX_ASKED_AHEAD_MS = 366 * 86_400_000
_DAY_MS = 86_400_000
_FIELDS = ("baskets", "asked_at", "limit")
_EXAMPLE = '{"baskets": [["milk"], ["tea"]]}'
_BASKET_FIELDS = frozenset(("items", "at"))


class AskedBaskets(NamedTuple):
    """Baskets, the newest first, and how long before the moment of asking each was, None: unknown."""

    baskets: Sequence[Sequence[str]]
    ages_days: Sequence[float] | None
    limit: int


def parse_baskets(body: bytes, received_ms: int) -> AskedBaskets:
    """The baskets in the body; raises `Problem` naming every basket that breaks a rule."""
    content = open_object(body, _FIELDS, _EXAMPLE)
    listed = list_in(content, "baskets", MAX_BASKETS)
    elements = [{"items": each} if type(each) is list else each for each in listed]
    timed = any(type(each) is dict and each.get("at") is not None for each in elements)
    limit = _limit(content.get("limit"))
    asked_ms = _asked(content.get("asked_at"), timed, received_ms)
    baskets: list[list[str]] = []
    times_ms: list[int] = []
    refusals: list[dict[str, Any]] = []
    for index, element in enumerate(elements):
        try:
            items, at_ms = _basket(element, timed, received_ms)
            if at_ms > asked_ms + MAX_AHEAD_MS:
                raise InvalidEvent("at.after_asked", "at must not be after asked_at")
            if times_ms and at_ms < times_ms[-1]:
                raise InvalidEvent("at.out_of_order", "at must not be before that of the basket before")
        except InvalidEvent as exc:
            refusals.append(refuse_element("baskets", index, exc))
        else:
            baskets.append(items)
            times_ms.append(at_ms)
    raise_refusals(refusals)
    n_lines = sum(map(len, baskets))
    if n_lines > MAX_LINES:
        raise invalid(
            "baskets.too_many_items", f"baskets must have at most {MAX_LINES} items together, got {n_lines}"
        )
    ages = [max(0, asked_ms - at_ms) / _DAY_MS for at_ms in reversed(times_ms)] if timed else None
    return AskedBaskets(baskets[::-1], ages, limit)


def _basket(element: Any, timed: bool, received_ms: int) -> tuple[list[str], int]:
    if type(element) is not dict:
        raise InvalidEvent(
            "basket.not_object", f"must be an array of ids or an object, got {kind_of(element)}"
        )
    if element.keys() - _BASKET_FIELDS:
        raise InvalidEvent("basket.unknown_field", "must have no fields other than items and at")
    items = element.get("items")
    if type(items) is not list:
        raise InvalidEvent("items.not_list", f"items must be an array, got {kind_of(items)}")
    if not items:
        raise InvalidEvent("items.empty", "items must have at least one product")
    if len(items) > MAX_ITEMS:
        raise InvalidEvent(
            "items.too_many", f"items must have at most {MAX_ITEMS} products, got {len(items)}"
        )
    found = list(dict.fromkeys(identifier("product_id", item) for item in items))
    if not timed:
        return found, 0
    if element.get("at") is None:
        raise InvalidEvent("at.missing", "every basket must have at if one of them has")
    return found, _time("at", element["at"], received_ms + MAX_AHEAD_MS)


def _limit(value: Any) -> int:
    if value is None:
        return DEFAULT_LIMIT
    if type(value) is not int or not 1 <= value <= MAX_LIMIT:
        raise invalid("limit.out_of_range", f"limit must be an integer from 1 to {MAX_LIMIT}")
    return value


def _asked(value: Any, timed: bool, received_ms: int) -> int:
    """The moment of asking, by default that of receipt; it may lie ahead."""
    if value is None:
        return received_ms
    if not timed:
        raise invalid("asked_at.unexpected", "asked_at must be absent where baskets have no times")
    try:
        return _time("asked_at", value, received_ms + MAX_ASKED_AHEAD_MS)
    except InvalidEvent as exc:
        raise invalid(exc.code, exc.detail) from exc


def _time(field: str, value: Any, latest_ms: int) -> int:
    """Epoch milliseconds; the rules are those of `event_time`."""
    try:
        at_ms = value if type(value) is int else parse_time(value)
        if not EARLIEST_MS <= at_ms <= latest_ms:
            raise time_out_of_range(at_ms, latest_ms)
    except InvalidEvent as exc:
        rule = exc.code.partition(".")[2]
        raise InvalidEvent(f"{field}.{rule}", exc.detail.replace("event_time", field)) from exc
    return at_ms
