"""The event contract: one event, its JSON on the wire, and every rule a sender can break."""

from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple, Self

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.event_ids import derive_id, too_deep
from contracts.event_versions import SCHEMA_VERSION, upcast
from contracts.fields import (
    EARLIEST_MS,
    MAX_AHEAD_MS,
    MAX_ID_CHARS,
    identifier,
    kind_of,
    order_identifier,
    parse_currency,
    parse_time,
    text,
    time_out_of_range,
)
from contracts.fields import InvalidEvent as InvalidEvent  # part of this module's face
from contracts.numbers import Breach, parse_price_minor, parse_quantity
from contracts.order_fields import NO_PRODUCT, amount_field, plain_order

MAX_EVENT_BYTES = 32 * 1024
_BOM = b"\xef\xbb\xbf"


class EventType(StrEnum):
    """What a visitor did. Events of the same millisecond are applied in the order of `rank`.

    A refund is no action of a visitor: it belongs to an order, and no session goes on with it.
    """

    rank: int

    def __new__(cls, value: str, rank: int) -> Self:
        """A member; the rank is an attribute since looking an enum member up in a dict is slow."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.rank = rank
        return member

    VIEW = "view", 0
    FAVORITE = "favorite", 1
    CART = "cart", 2
    REMOVE_FROM_CART = "remove_from_cart", 3
    PURCHASE = "purchase", 4
    REFUND = "refund", 5


class Statement(StrEnum):
    """What an event may say of a visitor in place of what they did; it names no product that was looked at.

    A batch takes these out before anything asks for the type of an event: they are no actions.
    """

    IDENTIFY = "identify"
    """Who is logged in on a device, or that nobody is."""
    BOUGHT_ELSEWHERE = "bought_elsewhere"
    """Who is logged in here bought this product on another device."""
    FORGET_CUSTOMER = "forget_customer"
    """The device and the customer have nothing to do with each other any more."""

    @property
    def is_internal(self) -> bool:
        """Whether only the installation itself says so."""
        return self is not Statement.IDENTIFY


def statement_in(event: "Event") -> Statement | None:
    """What the event states; None for an action."""
    return event.event_type if isinstance(event.event_type, Statement) else None


class Event(NamedTuple):
    """One thing one visitor did with one product, or money that went back to them.

    `product_id` is empty where an order or a refund names no product: then the price is its whole amount,
    and a refund without a price is of all that is left of its order.

    `user_id` is the visitor: the device's `anonymous_id` on the wire where there is one. `customer_id` is who
    was logged in on it, `GUEST` if the event says nothing of that and `LOGGED_OUT` if it says that nobody
    was. It is None where there is no anonymous id: then the visitor is the customer.

    A named tuple, not a dataclass: the stream makes one per event and a frozen dataclass of this size takes
    five times as long to build.
    """

    event_id: str
    event_type: EventType | Statement
    event_time_ms: int
    user_id: str
    product_id: str
    session_id: str | None = None
    price_minor: int | None = None
    currency: str | None = None
    quantity: int = 1
    category: str | None = None
    brand: str | None = None
    order_id: str | None = None
    extra: dict[str, Any] | None = None
    customer_id: str | None = None


GUEST = ""
"""In place of a customer: the event names a device and says nothing of a login."""
LOGGED_OUT = " "
"""In place of a customer: the event says that nobody is logged in. No id is blank, so it is nobody's."""
NOBODY = (GUEST, LOGGED_OUT)


_TYPES: dict[str, EventType] = {t.value: t for t in EventType}
_STATEMENTS: dict[str, Statement] = {t.value: t for t in Statement}
_FIELDS = frozenset({
    "schema", "event_id", "event_type", "event_time", "user_id", "anonymous_id", "session_id", "product_id",
    "price", "currency", "quantity", "category", "brand", "order_id",
})  # fmt: skip


def decode(raw: bytes | None, *, received_ms: int, default_currency: str) -> Event:
    """The event in `raw` (UTF-8 JSON), checked against every rule of the contract.

    `received_ms` is when the bytes reached us (broker timestamp): times too far ahead of it are impossible.
    A price without a currency is in `default_currency`. Raises `InvalidEvent`; its code names field and rule.
    """
    if raw is None:
        raise InvalidEvent("event.empty", "a record without a value is not an event")
    if len(raw) > MAX_EVENT_BYTES:
        raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {len(raw)}")
    try:
        fields = orjson.loads(raw.removeprefix(_BOM))  # some clients write one
    except orjson.JSONDecodeError as exc:
        raise InvalidEvent("event.not_json", f"must be UTF-8 JSON: {exc}") from exc
    if type(fields) is not dict:
        raise InvalidEvent("event.not_object", f"must be a JSON object, got {kind_of(fields)}")
    return from_fields(upcast(fields), received_ms=received_ms, default_currency=default_currency)


def from_fields(fields: dict[str, Any], *, received_ms: int, default_currency: str) -> Event:
    """The event in the fields of a JSON object of the current schema version; raises `InvalidEvent`."""
    get = fields.get
    type_name = get("event_type")
    event_type = _TYPES.get(type_name) if type(type_name) is str else None
    if event_type is None:
        return _statement_of(fields, received_ms)
    time_ms = get("event_time")
    if type(time_ms) is not int:
        time_ms = parse_time(time_ms)
    if not EARLIEST_MS <= time_ms <= received_ms + MAX_AHEAD_MS:
        raise time_out_of_range(time_ms, received_ms)

    sent, is_bare = fields, False
    if event_type is EventType.PURCHASE or event_type is EventType.REFUND:
        fields = plain_order(fields)
        get, event_type = fields.get, _TYPES[fields["event_type"]]
        is_bare = get("product_id") == NO_PRODUCT
    extra = None if _FIELDS.issuperset(fields) else _unknown_fields(fields)
    user_id, product_id, event_id = get("user_id"), get("product_id"), get("event_id")
    session_id, order_id = get("session_id"), get("order_id")
    customer_id = None
    if get("anonymous_id") is not None:
        user_id, customer_id = _visitor_of(fields)
    if not _plain_ids(user_id, product_id, event_id, session_id):
        user_id = identifier("user_id", user_id)
        product_id = product_id if is_bare else identifier("product_id", product_id)
        session_id = None if session_id is None else identifier("session_id", session_id)
        event_id = derive_id(sent) if event_id is None else identifier("event_id", event_id)
    if order_id is not None:
        order_id = order_identifier(order_id)
    category = get("category")
    if category is not None:
        category = text("category", category)
    brand = get("brand")
    if brand is not None:
        brand = text("brand", brand)

    currency = get("currency")
    if currency is not None and (type(currency) is not str or currency not in MINOR_DIGITS):
        currency = parse_currency(currency)
    price, price_minor = get("price"), None
    if price is not None:
        currency = currency or default_currency
        try:
            price_minor = parse_price_minor(price, MINOR_DIGITS[currency])
        except Breach as exc:
            name = amount_field(sent) if is_bare else "price"
            raise InvalidEvent(f"{name}.{exc.rule}", f"{name} {exc.detail}") from None
    quantity = get("quantity")
    if quantity is None:
        quantity = 1
    elif quantity != 1 or type(quantity) is not int:
        try:
            quantity = parse_quantity(quantity)
        except Breach as exc:
            raise InvalidEvent(f"quantity.{exc.rule}", f"quantity {exc.detail}") from None

    return _new_event((
        event_id, event_type, time_ms, user_id, product_id, session_id, price_minor, currency, quantity,
        category, brand, order_id, extra, customer_id,
    ))  # fmt: skip


_new_event = partial(tuple.__new__, Event)  # half the time of calling Event


def _statement_of(fields: dict[str, Any], received_ms: int) -> Event:
    type_name = fields.get("event_type")
    statement = _STATEMENTS.get(type_name) if type(type_name) is str else None
    if statement is None:
        raise _bad_type(type_name)
    at = fields.get("event_time")
    time_ms = at if type(at) is int else parse_time(at)
    if not EARLIEST_MS <= time_ms <= received_ms + MAX_AHEAD_MS:
        raise time_out_of_range(time_ms, received_ms)
    visitor_id, customer_id = _visitor_of({"anonymous_id": None, **fields})
    event_id, product_id = fields.get("event_id"), fields.get("product_id")
    return Event(
        derive_id(fields) if event_id is None else identifier("event_id", event_id),
        statement,
        time_ms,
        visitor_id,
        "" if product_id is None else identifier("product_id", product_id),
        customer_id=GUEST if customer_id is None else customer_id,
    )


def _visitor_of(fields: dict[str, Any]) -> tuple[str, str | None]:
    """Visitor and customer of an event with an anonymous id; one id for both is that of a customer."""
    visitor_id, customer_id = identifier("anonymous_id", fields["anonymous_id"]), fields.get("user_id")
    if customer_id is None:
        return visitor_id, LOGGED_OUT if "user_id" in fields else GUEST
    customer_id = identifier("user_id", customer_id)
    return visitor_id, None if customer_id == visitor_id else customer_id


def _plain_ids(user_id: object, product_id: object, event_id: object, session_id: object) -> bool:
    """True if these four are surely valid as they are, at a fraction of four calls of `identifier`."""
    if type(user_id) is type(product_id) is type(event_id) is type(session_id) is str:
        joined = f"{user_id}{product_id}{event_id}{session_id}"
        return (
            len(joined) <= MAX_ID_CHARS
            and joined.isprintable()
            and " " not in joined
            and bool(user_id and product_id and event_id and session_id)
        )
    return False


def encode(event: Event) -> bytes:
    """The event as JSON of the current schema version; `decode` gives the same event back."""
    fields: dict[str, Any] = dict(event.extra or {})
    fields["schema"] = SCHEMA_VERSION
    fields["event_id"] = event.event_id
    fields["event_type"] = event.event_type.value
    fields["event_time"] = event.event_time_ms
    if event.customer_id is None:
        fields["user_id"] = event.user_id
    else:
        fields["anonymous_id"] = event.user_id
        if event.customer_id != GUEST:
            fields["user_id"] = None if event.customer_id == LOGGED_OUT else event.customer_id
    if event.product_id:
        fields["product_id"] = event.product_id
    if event.session_id is not None:
        fields["session_id"] = event.session_id
    if event.price_minor is not None and event.currency is not None:
        fields["price"] = format_minor(event.price_minor, event.currency)
    if event.currency is not None:
        fields["currency"] = event.currency
    if event.quantity != 1:
        fields["quantity"] = event.quantity
    for name, value in (("category", event.category), ("brand", event.brand), ("order_id", event.order_id)):
        if value is not None:
            fields[name] = value
    return orjson.dumps(fields)


def format_minor(amount_minor: int, currency: str) -> str:
    """An amount of minor units as a decimal string: 1999 EUR cents are `19.99`."""
    digits = MINOR_DIGITS[currency]
    if not digits:
        return str(amount_minor)
    sign, amount = ("-", -amount_minor) if amount_minor < 0 else ("", amount_minor)
    whole, part = divmod(amount, 10**digits)
    return f"{sign}{whole}.{part:0{digits}d}"


def _unknown_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields the contract does not know, kept as they are."""
    extra = {name: value for name, value in fields.items() if name not in _FIELDS}
    for value in extra.values():
        if type(value) is dict or type(value) is list:
            try:
                orjson.dumps([[value]])  # as deep as it gets inside an event
            except orjson.JSONEncodeError as exc:
                raise too_deep(exc) from exc
    return extra


def _bad_type(value: object) -> InvalidEvent:
    known = ", ".join((*_TYPES, Statement.IDENTIFY))
    if value is None:
        return InvalidEvent("event_type.missing", f"event_type must be one of {known}")
    return InvalidEvent(
        "event_type.unknown", f"event_type must be one of {known}, got another {kind_of(value)}"
    )
