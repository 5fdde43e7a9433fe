"""Events of several products: one event per line, and the sums of an order to the minor unit."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts.currencies import MINOR_DIGITS
from contracts.event_ids import content_id, derive_id
from contracts.events import EventType, format_minor
from contracts.fields import (
    MAX_ID_CHARS,
    InvalidEvent,
    identifier,
    kind_of,
    order_identifier,
    parse_currency,
    text,
)
from contracts.numbers import Breach, is_negative, parse_price_minor, parse_quantity
from contracts.order_lines import SECOND_PART

MAX_ITEMS = 200

_SHARED = ("schema", "event_type", "event_time", "user_id", "anonymous_id", "session_id", "order_id")
"""What every line says alike. Fields the contract does not know stay on the first line, so that a tax or a
coupon is there once, and a long one is not copied two hundred times."""
_OF_ITEMS = ("product_id", "price", "quantity", "category", "brand")
_RESERVED = frozenset((*_SHARED, "event_id", "items", "line"))
_SUFFIX_CHARS = len(f"#{MAX_ITEMS - 1}.2")
_ID_NAMES = ("product_id", "item_id", "id", "sku")
_BRAND_NAMES = ("brand", "item_brand")
_CATEGORY_NAMES = ("item_category", *(f"item_category{n}" for n in range(2, 6)))
ORDER_TYPES = (EventType.PURCHASE.value, EventType.REFUND.value)
_RENAMED = {"item_name": "name", "item_variant": "variant"}
_READ = frozenset(("price", "quantity", "currency", "category", *_BRAND_NAMES, *_CATEGORY_NAMES, *_RENAMED))


class _Line(NamedTuple):
    """One item as it was sent; `price_minor` is of one piece, None if it was not sent."""

    fields: dict[str, Any]
    quantity: int
    price_minor: int | None
    is_discount: bool = False

    @property
    def amount_minor(self) -> int:
        return self.quantity * (self.price_minor or 0)


def split_items(fields: dict[str, Any], *, default_currency: str) -> list[dict[str, Any]]:
    """One event per product of an event with `items`; an event without is given back as it is.

    Null among the items says nothing; a purchase or a refund of no items at all is of its order as a whole.
    The lines of one with a `total` (or, without one, a `value`) sum up to exactly that: what differs is
    spread in proportion, and a line whose amount does not divide by its quantity becomes two. An item of a
    negative amount is no line: it lowers what the others come to. Ids are
    `<event_id>#<index>`, for the second part of such a line `<event_id>#<index>.2`; where they would have to
    be made of the content, lines get `line` in place of an id, so that two alike are two. Those of an order
    have it where its product is there more than once, see `contracts.order_lines`. Raises
    `InvalidEvent`; codes of items begin with `items.`, and the detail names the place. What lines have in
    common is left for `from_fields` to check.
    """
    if "items" not in fields:
        return [fields]
    items = fields["items"]
    is_order = fields.get("event_type") in ORDER_TYPES
    if type(items) is list:
        items = [item for item in items if item is not None]
    if items is None or (not items and type(items) is list and is_order):
        return [_without(fields, "items")]
    _check_shape(fields, items)
    fields, items = _turn_positive(fields, items)
    currency = _currency_of(fields, items, default_currency)
    signed = fields.get("event_type") == EventType.PURCHASE
    read = [_read_item(item, index, currency, signed=signed) for index, item in enumerate(items)]
    lines = {index: line for index, line in enumerate(read) if not line.is_discount}
    less = sum(line.amount_minor for line in read if line.is_discount)
    amounts = _amounts_of(fields, list(lines.values()), currency, less)
    base_id = _base_id(fields)
    shared = {name: fields[name] for name in _SHARED if fields.get(name) is not None}
    if "user_id" in fields and "anonymous_id" in shared:
        shared["user_id"] = fields["user_id"]  # null says that nobody is logged in
    events: list[dict[str, Any]] = []
    is_known = fields.get("event_type") == EventType.PURCHASE and "order_id" in shared
    numbers: Counter[str] = Counter()
    for (index, line), amount in zip(lines.items(), amounts, strict=True):
        numbers[line.fields["product_id"]] += 1
        for part, (quantity, price_minor) in enumerate(_pieces(line, amount), 1):
            event = {**shared, **line.fields, "currency": currency, "quantity": quantity}
            place = f"{index}" if part == 1 else f"{index}.{part}"
            event |= {"line": place} if base_id is None else {"event_id": f"{base_id}#{place}"}
            number = numbers[line.fields["product_id"]]
            if is_known and (number > 1 or part > 1):
                event["line"] = f"{number}" if part == 1 else f"{number}{SECOND_PART}"
            if price_minor is not None:
                event["price"] = format_minor(price_minor, currency)
            events.append(event)
    events[0] = {**_unknown_of(fields), **events[0]}
    return events


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to `weights`, by largest remainder; their sum is `total`.

    Of equal remainders the earlier part gets the unit. `weights` are not negative and not all zero.
    """
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(total * weights[n] % whole), n))
    for n in by_remainder[: total - sum(parts)]:
        parts[n] += 1
    return parts


def _turn_positive(fields: dict[str, Any], items: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """Event and items, as a refund if they are a purchase of a negative amount."""
    name = _total_of(fields)
    negative = [
        type(item) is dict and (is_negative(item.get("price")) or is_negative(item.get("quantity")))
        for item in items
    ]
    if fields.get("event_type") not in ORDER_TYPES:
        return fields, items
    is_refund = fields.get("event_type") == EventType.REFUND
    if not is_refund and not (is_negative(fields[name]) if name else all(negative)):
        return fields, items
    fields = {**fields, "event_type": EventType.REFUND.value}
    if name:
        fields[name] = _positive(fields[name])
    return fields, [_turned(item) if type(item) is dict else item for item in items]


def _turned(item: dict[str, Any]) -> dict[str, Any]:
    return {key: _positive(v) if key in ("price", "quantity") else v for key, v in item.items()}


def _positive(value: Any) -> Any:
    if not is_negative(value):
        return value
    return value[1:] if type(value) is str else -value


def _total_of(fields: Mapping[str, Any]) -> str | None:
    """The field that has what all lines come to, if there is one."""
    return next((name for name in ("total", "value") if fields.get(name) is not None), None)


def _check_shape(fields: Mapping[str, Any], items: object) -> None:
    if type(items) is not list:
        raise InvalidEvent("items.not_list", f"items must be an array, got {kind_of(items)}")
    if not items:
        raise InvalidEvent("items.empty", "items must have at least one item")
    if len(items) > MAX_ITEMS:
        raise InvalidEvent("items.too_many", f"items must have at most {MAX_ITEMS} items, got {len(items)}")
    for name in _OF_ITEMS:
        if fields.get(name) is not None:
            raise InvalidEvent("items.ambiguous", f"an event with items must not have a {name} of its own")


def _currency_of(fields: Mapping[str, Any], items: Sequence[Any], default_currency: str) -> str:
    named = [fields.get("currency"), *(item.get("currency") for item in items if type(item) is dict)]
    sent = [parse_currency(currency) for currency in named if currency is not None]
    if len(set(sent)) > 1:
        raise InvalidEvent("currency.mixed", "currency must be the same for all items of an event")
    return sent[0] if sent else default_currency


def _read_item(item: Any, index: int, currency: str, *, signed: bool) -> _Line:
    try:
        if type(item) is not dict:
            raise InvalidEvent("not_object", f"must be a JSON object, got {kind_of(item)}")
        if not _RESERVED.isdisjoint(item):
            name = min(_RESERVED.intersection(item))
            raise InvalidEvent("reserved", f"{name} belongs to the event, not to an item")
        if signed and is_negative(item.get("price")) != is_negative(item.get("quantity")):
            return _to_line(_turned(item), currency)._replace(is_discount=True)
        return _to_line(item, currency)
    except InvalidEvent as exc:
        raise InvalidEvent(f"items.{exc.code}", f"items[{index}]: {exc.detail}") from None


def _to_line(item: dict[str, Any], currency: str) -> _Line:
    id_name = next((name for name in _ID_NAMES if item.get(name) is not None), "product_id")
    fields = {name: item[name] for name in item if name not in _READ and name != id_name}
    fields["product_id"] = identifier("product_id", item.get(id_name))
    for name, ours in _RENAMED.items():
        if name in item:
            fields.setdefault(ours, item[name])
    category, brand = (
        _category_of(item),
        next((item[n] for n in _BRAND_NAMES if item.get(n) is not None), None),
    )
    for name, value in (("category", category), ("brand", brand)):
        if value is not None:
            fields[name] = text(name, value)
    price, quantity = item.get("price"), item.get("quantity")
    field = "price"
    try:
        price_minor = None if price is None else parse_price_minor(price, MINOR_DIGITS[currency])
        field = "quantity"
        return _Line(fields, 1 if quantity is None else parse_quantity(quantity), price_minor)
    except Breach as exc:
        raise InvalidEvent(f"{field}.{exc.rule}", f"{field} {exc.detail}") from None


def _category_of(item: Mapping[str, Any]) -> object:
    """The category, or the levels of GA4's joined by points, as `apparel.shoes`."""
    if item.get("category") is not None:
        return item["category"]
    levels = [item[name] for name in _CATEGORY_NAMES if item.get(name) not in (None, "")]
    if len(levels) > 1 and all(type(level) is str for level in levels):
        return ".".join(levels)
    return levels[0] if levels else None


def _amounts_of(
    fields: Mapping[str, Any], lines: Sequence[_Line], currency: str, less: int
) -> list[int | None]:
    """Per line the amount it must come to; None where the price stays as it was sent.

    Discounts of items come to `less`; they are in a total that is sent.
    """
    name = _total_of(fields)
    if fields.get("event_type") not in ORDER_TYPES or (name is None and not less):
        return [None] * len(lines)
    priced = [line.amount_minor for line in lines]
    total = max(0, sum(priced) - less)
    if name is not None:
        try:
            total = parse_price_minor(fields[name], MINOR_DIGITS[currency])
        except Breach as exc:
            raise InvalidEvent(f"{name}.{exc.rule}", f"{name} {exc.detail}") from None
    rest = total - sum(priced)
    unpriced = [line.quantity if line.price_minor is None else 0 for line in lines]
    if rest >= 0 and any(unpriced):  # what the prices leave belongs to the lines without one
        return [a + b for a, b in zip(priced, spread(rest, unpriced), strict=True)]
    if rest == 0:
        return [*priced]
    return [*spread(total, priced if any(priced) else [line.quantity for line in lines])]


def _pieces(line: _Line, amount_minor: int | None) -> list[tuple[int, int | None]]:
    """Quantities and prices of one piece that come to the amount."""
    if amount_minor is None:
        return [(line.quantity, line.price_minor)]
    price_minor, dearer = divmod(amount_minor, line.quantity)
    if not dearer:
        return [(line.quantity, price_minor)]
    return [(line.quantity - dearer, price_minor), (dearer, price_minor + 1)]


def _base_id(fields: Mapping[str, Any]) -> str | None:
    """What the ids of the lines begin with; an order without an id of the event is known by its own."""
    event_id = fields.get("event_id")
    if event_id is not None:
        event_id = identifier("event_id", event_id)
        return event_id if len(event_id) + _SUFFIX_CHARS <= MAX_ID_CHARS else content_id(event_id)
    if fields.get("order_id") is None:
        return None
    if fields.get("event_type") == EventType.PURCHASE:
        return content_id("order", order_identifier(fields["order_id"]))
    if fields.get("event_type") != EventType.REFUND:
        return None
    return derive_id(dict(fields))


def _unknown_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {*_SHARED, *_OF_ITEMS, "event_id", "items", "currency"}
    return {name: value for name, value in fields.items() if name not in known}


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
