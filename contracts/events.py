"""The event contract: one event, its JSON on the wire, and every rule a sender can break."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.numbers import Breach, parse_price_minor, parse_quantity

SCHEMA_VERSION = 2
"""Version written by `encode`. Version 1 has the column names of the public REES46 files."""

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 256
MAX_EVENT_BYTES = 32 * 1024
MAX_AHEAD_MS = 5 * 60_000
"""An event may be this far ahead of the clock of whoever received it; more is refused."""
EARLIEST_MS = 946_684_800_000
"""2000-01-01; an integer below it is usually epoch seconds sent as milliseconds."""


class EventType(StrEnum):
    """What a visitor did."""

    VIEW = "view"
    CART = "cart"
    REMOVE_FROM_CART = "remove_from_cart"
    FAVORITE = "favorite"
    PURCHASE = "purchase"


class Event(NamedTuple):
    """One thing one visitor did with one product.

    A named tuple, not a dataclass: the stream makes one per event and a frozen dataclass of this size takes
    five times as long to build.
    """

    event_id: str
    event_type: EventType
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


class InvalidEvent(ValueError):  # noqa: N818 - names the state of the event, as the dead-letter codes do
    """Bytes that are not an event of the contract; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


_TYPES: dict[str, EventType] = {t.value: t for t in EventType}
_FIELDS = frozenset(
    "schema event_id event_type event_time user_id session_id product_id price currency quantity category "
    "brand order_id".split()
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_V1_NAMES = {
    "user_session": "session_id",
    "category_code": "category",
    "event_time": "event_time",
}


def decode(raw: bytes | None, *, received_ms: int, default_currency: str) -> Event:
    """The event in `raw` (UTF-8 JSON), checked against every rule of the contract.

    `received_ms` is when the bytes reached us (broker timestamp): times too far ahead of it are impossible.
    A price without a currency is in `default_currency`. Raises `InvalidEvent`, whose code names field and rule.
    """
    if raw is None:
        raise InvalidEvent("event.empty", "a record without a value is not an event")
    if len(raw) > MAX_EVENT_BYTES:
        raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {len(raw)}")
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidEvent("event.not_json", f"must be UTF-8 JSON: {exc}") from exc
    if type(fields) is not dict:
        raise InvalidEvent("event.not_object", f"must be a JSON object, got {_kind(fields)}")
    version = fields.get("schema", 1 if "user_session" in fields else SCHEMA_VERSION)
    if version != SCHEMA_VERSION or version is True:
        fields = _upcast(fields, version)
    return from_fields(fields, received_ms=received_ms, default_currency=default_currency)


def from_fields(fields: dict[str, Any], *, received_ms: int, default_currency: str) -> Event:
    """The event in the fields of a JSON object of the current schema version; raises `InvalidEvent`."""
    get = fields.get
    type_name = get("event_type")
    event_type = _TYPES.get(type_name) if type(type_name) is str else None
    if event_type is None:
        raise _bad_type(type_name)
    time_ms = get("event_time")
    if type(time_ms) is not int:
        time_ms = _parse_time(time_ms)
    if not EARLIEST_MS <= time_ms <= received_ms + MAX_AHEAD_MS:
        raise _bad_time(time_ms, received_ms)

    user_id = _identifier("user_id", get("user_id"))
    product_id = _identifier("product_id", get("product_id"))
    session_id = get("session_id")
    if session_id is not None:
        session_id = _identifier("session_id", session_id)
    order_id = get("order_id")
    if order_id is not None:
        order_id = _identifier("order_id", order_id)
    category = get("category")
    if category is not None:
        category = _text("category", category)
    brand = get("brand")
    if brand is not None:
        brand = _text("brand", brand)

    price, currency = get("price"), get("currency")
    price_minor = None
    quantity = 1
    try:
        if currency is not None:
            digits = MINOR_DIGITS.get(currency) if type(currency) is str else None
            if digits is None:
                raise Breach("unknown", f"must be an ISO 4217 code, got {_kind(currency)}")
        if price is not None:
            currency = currency or default_currency
            price_minor = parse_price_minor(price, MINOR_DIGITS[currency])
        if "quantity" in fields:
            quantity = parse_quantity(fields["quantity"])
    except Breach as exc:
        field = "quantity" if price is None or price_minor is not None else "price"
        if exc.rule == "unknown":
            field = "currency"
        raise InvalidEvent(f"{field}.{exc.rule}", f"{field} {exc.detail}") from None

    event_id = get("event_id")
    event_id = _derive_id(fields) if event_id is None else _identifier("event_id", event_id)
    extra = None if fields.keys() <= _FIELDS else {k: v for k, v in fields.items() if k not in _FIELDS}
    return Event(
        event_id, event_type, time_ms, user_id, product_id, session_id, price_minor, currency, quantity,
        category, brand, order_id, extra,
    )  # fmt: skip


def encode(event: Event) -> bytes:
    """The event as JSON of the current schema version; `decode` gives the same event back."""
    fields: dict[str, Any] = dict(event.extra or {})
    fields["schema"] = SCHEMA_VERSION
    fields["event_id"] = event.event_id
    fields["event_type"] = event.event_type.value
    fields["event_time"] = event.event_time_ms
    fields["user_id"] = event.user_id
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


def content_id(*parts: object) -> str:
    """A deterministic event id from what the event says: the same parts give the same id."""
    return hashlib.blake2b(orjson.dumps(parts, default=str), digest_size=12).hexdigest()


def _derive_id(fields: dict[str, Any]) -> str:
    return content_id({k: fields[k] for k in sorted(fields)})


def _upcast_v1(fields: dict[str, Any]) -> dict[str, Any]:
    """REES46 column names: `user_session`, `category_code`, `event_time` as `2019-10-01 00:00:00 UTC`."""
    renamed = {_V1_NAMES.get(name, name): value for name, value in fields.items()}
    time = renamed.get("event_time")
    if type(time) is str and time.endswith(" UTC"):
        renamed["event_time"] = time.removesuffix(" UTC") + "Z"
    return renamed


_UPCASTS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _upcast_v1}


def _upcast(fields: dict[str, Any], version: object) -> dict[str, Any]:
    upcast = _UPCASTS.get(version) if type(version) is int else None
    if upcast is None:
        known = ", ".join(str(v) for v in (*_UPCASTS, SCHEMA_VERSION))
        raise InvalidEvent("schema.unsupported", f"schema must be one of {known}, got {_kind(version)}")
    return upcast({name: value for name, value in fields.items() if name != "schema"})


def _identifier(field: str, value: object) -> str:
    if type(value) is int:  # shops number products and customers; a boolean has another type
        value = str(value)
    if type(value) is not str:
        rule = "missing" if value is None else "not_string"
        raise InvalidEvent(f"{field}.{rule}", f"{field} must be a string, got {_kind(value)}")
    if not value or value.isspace():
        raise InvalidEvent(f"{field}.blank", f"{field} must not be blank")
    if len(value) > MAX_ID_CHARS:
        raise InvalidEvent(f"{field}.too_long", f"{field} must have at most {MAX_ID_CHARS} characters, got {len(value)}")
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidEvent(f"{field}.control_characters", f"{field} must hold no control characters")
    return value


def _text(field: str, value: object) -> str | None:
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise InvalidEvent(f"{field}.not_string", f"{field} must be a string, got {_kind(value)}")
    if len(value) > MAX_TEXT_CHARS:
        raise InvalidEvent(f"{field}.too_long", f"{field} must have at most {MAX_TEXT_CHARS} characters, got {len(value)}")
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidEvent(f"{field}.control_characters", f"{field} must hold no control characters")
    return value or None


def _parse_time(value: object) -> int:
    """Epoch milliseconds of an RFC 3339 time with an offset."""
    if value is None:
        raise InvalidEvent("event_time.missing", "event_time is required")
    if type(value) is not str:
        raise InvalidEvent(
            "event_time.not_time", f"event_time must be epoch milliseconds or RFC 3339, got {_kind(value)}"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise InvalidEvent("event_time.not_time", "event_time must be epoch milliseconds or RFC 3339") from None
    if moment.tzinfo is None:
        raise InvalidEvent("event_time.naive", "event_time must carry an offset from UTC, such as Z or +02:00")
    try:
        since_epoch = moment - _EPOCH
    except OverflowError:
        raise InvalidEvent("event_time.too_early", "event_time is before 2000") from None
    return since_epoch.days * 86_400_000 + since_epoch.seconds * 1_000 + since_epoch.microseconds // 1_000


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _bad_type(value: object) -> InvalidEvent:
    known = ", ".join(_TYPES)
    if value is None:
        return InvalidEvent("event_type.missing", f"event_type must be one of {known}")
    return InvalidEvent("event_type.unknown", f"event_type must be one of {known}, got another {_kind(value)}")


def _bad_time(time_ms: int, received_ms: int) -> InvalidEvent:
    if time_ms < EARLIEST_MS:
        return InvalidEvent(
            "event_time.too_early", "event_time is before 2000; an integer must be epoch milliseconds, not seconds"
        )
    ahead_s = (time_ms - received_ms) // 1_000
    return InvalidEvent("event_time.in_future", f"event_time is {ahead_s} s ahead of when it was received")


def _kind(value: object) -> str:
    """The JSON kind of a value: enough to find the mistake, and no visitor's words in logs and answers."""
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
