"""The records of the topic `products`: facts of one product, and every rule that one can break.

A record changes the fields that it names and leaves the others; null clears one.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.events import format_minor
from contracts.fields import (
    EARLIEST_MS,
    MAX_AHEAD_MS,
    InvalidEvent,
    identifier,
    kind_of,
    parse_currency,
    parse_time,
    text,
)
from contracts.numbers import Breach, parse_price_minor, parse_stock
from contracts.products import Amount, Promotion
from contracts.shapes import LATEST_MS

MAX_PRODUCT_BYTES = 32 * 1024
MAX_CATEGORIES = 20
MAX_REGIONS = 300
MAX_URL_CHARS = 2_048
_MAX_SHOWN_CHARS = 40

FIELDS = (
    "title", "price", "currency", "promotion", "image_url", "page_url", "brand", "categories", "regions",
    "stock", "active", "published_at",
)  # fmt: skip
"""Names of the facts; `currency` is that of the amounts beside it."""
_MEMBERS = frozenset(("product_id", "updated_at", "deleted", *FIELDS))
_LISTS = {"categories": MAX_CATEGORIES, "regions": MAX_REGIONS}
_PROMOTION = frozenset(("price", "from", "to"))
_NOT_IN_URL = re.compile(r"""[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff"<>\\^`{|}]""")


class ProductUpdate(NamedTuple):
    """One record: values of fields of `contracts.products.Product` by name, as of `updated_ms`.

    One that `removes` has none: all earlier facts of the product are void.
    """

    product_id: str
    updated_ms: int
    facts: Mapping[str, Any] = {}
    removes: bool = False


def decode_product(raw: bytes, *, received_ms: int, default_currency: str) -> ProductUpdate:
    """The update in a record's value (UTF-8 JSON); raises `InvalidEvent`, whose code names field and rule.

    Without `updated_at` it is as of `received_ms` (broker timestamp). One that lies further ahead of that
    than `MAX_AHEAD_MS` is refused, for nothing sent until then could replace it.
    """
    _check_size(raw)
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidEvent("product.not_json", f"must be UTF-8 JSON: {exc}") from exc
    return product_from(fields, received_ms=received_ms, default_currency=default_currency)


def product_from(fields: Any, *, received_ms: int, default_currency: str) -> ProductUpdate:
    """The update in what was read from JSON; raises `InvalidEvent`."""
    if type(fields) is not dict:
        raise InvalidEvent("product.not_object", f"must be a JSON object, got {kind_of(fields)}")
    product_id = identifier("product_id", fields.get("product_id"))
    for name in fields:
        if name not in _MEMBERS:
            shown, known = ascii(name[:_MAX_SHOWN_CHARS]), ", ".join(FIELDS)
            raise InvalidEvent(
                "product.unknown_field", f"{shown} is not a field of products, which are {known}"
            )
    updated_ms = _updated_ms(fields.get("updated_at"), received_ms)
    if _is_deleted(fields):
        return ProductUpdate(product_id, updated_ms, removes=True)
    code = fields.get("currency")
    currency = default_currency if code is None else parse_currency(code)
    return ProductUpdate(product_id, updated_ms, dict(_facts_of(fields, currency)))


def check_product_key(key: bytes | None, update: ProductUpdate) -> None:
    """Raise `InvalidEvent` if the record's key is not the product's id."""
    if key != update.product_id.encode():
        raise InvalidEvent(
            "key.not_product_id", "the record's key must be the product_id, which decides the partition"
        )


def encode_product(update: ProductUpdate) -> bytes:
    """The update as JSON; `decode_product` gives the same update back.

    Raises `InvalidEvent` if no reader would take it because of its length.
    """
    fields: dict[str, Any] = {"product_id": update.product_id, "updated_at": update.updated_ms}
    if update.removes:
        return orjson.dumps({**fields, "deleted": True})
    for name, value in update.facts.items():
        if isinstance(value, Amount):
            fields |= {name: format_minor(*value), "currency": value.currency}
        elif isinstance(value, Promotion):
            fields["currency"] = value.price.currency
            fields[name] = {
                "price": format_minor(*value.price),
                "from": _rfc_3339(value.from_ms),
                "to": _rfc_3339(value.to_ms),
            }
        elif name == "published_ms":
            fields["published_at"] = _rfc_3339(value)
        else:
            fields[name] = value
    raw = orjson.dumps(fields)
    _check_size(raw)
    return raw


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_PRODUCT_BYTES:
        raise InvalidEvent("product.too_large", f"must be at most {MAX_PRODUCT_BYTES} bytes, got {len(raw)}")


def _updated_ms(value: object, received_ms: int) -> int:
    if value is None:
        return received_ms
    at_ms = _time("updated_at", value)
    if at_ms > received_ms + MAX_AHEAD_MS:
        ahead_s = (at_ms - received_ms) // 1_000
        raise InvalidEvent("updated_at.in_future", f"updated_at is {ahead_s} s after it was received")
    return at_ms


def _is_deleted(fields: Mapping[str, Any]) -> bool:
    deleted = fields.get("deleted")
    if deleted is None or deleted is False:
        return False
    if deleted is not True:
        raise InvalidEvent("deleted.not_boolean", f"deleted must be true or false, got {kind_of(deleted)}")
    if not fields.keys() <= {"product_id", "updated_at", "deleted"}:
        raise InvalidEvent("deleted.not_alone", "a record with deleted must not have facts too")
    return True


def _facts_of(fields: Mapping[str, Any], currency: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if name in FIELDS and name != "currency":
            fact = None if value is None else _parse(name, value, currency)
            yield ("published_ms" if name == "published_at" else name), fact


def _parse(name: str, value: object, currency: str) -> Any:
    """The fact in a value that is not null."""
    if name == "price":
        return _amount(name, value, currency)
    if name == "promotion":
        return _promotion(value, currency)
    if name in _LISTS:
        return _texts(name, value, _LISTS[name])
    if name in ("image_url", "page_url"):
        return _url(name, value)
    if name == "stock":
        try:
            return parse_stock(value)
        except Breach as exc:
            raise InvalidEvent(f"stock.{exc.rule}", f"stock {exc.detail}") from None
    if name == "active":
        if type(value) is not bool:
            raise InvalidEvent("active.not_boolean", f"active must be true or false, got {kind_of(value)}")
        return value
    return _time(name, value) if name == "published_at" else text(name, value)


def _amount(name: str, value: object, currency: str) -> Amount:
    try:
        return Amount(parse_price_minor(value, MINOR_DIGITS[currency]), currency)
    except Breach as exc:
        raise InvalidEvent(f"{name}.{exc.rule}", f"{name} {exc.detail}") from None


def _promotion(value: object, currency: str) -> Promotion:
    if type(value) is not dict:
        raise InvalidEvent("promotion.not_object", f"promotion must be an object, got {kind_of(value)}")
    if not value.keys() <= _PROMOTION:
        raise InvalidEvent("promotion.unknown_field", "promotion can have price, from and to, and no others")
    if value.get("price") is None:
        raise InvalidEvent("promotion.price.missing", "promotion.price must be there, or promotion be null")
    from_ms, to_ms = (
        None if value.get(name) is None else _time(f"promotion.{name}", value[name])
        for name in ("from", "to")
    )
    if from_ms is not None and to_ms is not None and to_ms <= from_ms:
        raise InvalidEvent("promotion.to.not_after_from", "promotion.to must be later than promotion.from")
    return Promotion(_amount("promotion.price", value["price"], currency), from_ms, to_ms)


def _texts(name: str, value: object, most: int) -> tuple[str, ...]:
    """Different texts, in their order; empty ones are none."""
    values = [value] if type(value) is str else value
    if type(values) is not list:
        raise InvalidEvent(f"{name}.not_list", f"{name} must be an array of strings, got {kind_of(value)}")
    if len(values) > most:
        raise InvalidEvent(f"{name}.too_many", f"{name} must be at most {most}, got {len(values)}")
    return tuple(dict.fromkeys(found for each in values if (found := text(name, each)) is not None))


def _url(name: str, value: object) -> str | None:
    """An absolute http or https URL: what else a browser follows could be code."""
    if type(value) is not str:
        raise InvalidEvent(f"{name}.not_string", f"{name} must be a string, got {kind_of(value)}")
    if not value:
        return None
    if len(value) > MAX_URL_CHARS:
        raise InvalidEvent(
            f"{name}.too_long", f"{name} must have at most {MAX_URL_CHARS} characters, got {len(value)}"
        )
    if _NOT_IN_URL.search(value):
        raise InvalidEvent(
            f"{name}.not_encoded", f"{name} must be percent-encoded: no blanks, quotes, backslashes, brackets"
        )
    try:
        parts = urlsplit(value)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise InvalidEvent(f"{name}.not_http", f"{name} must be an absolute http or https URL")
    if "@" in parts.netloc:
        raise InvalidEvent(f"{name}.with_user", f"{name} must not have a user or password")
    return value


def _time(name: str, value: object) -> int:
    try:
        at_ms = value if type(value) is int else parse_time(value)
    except InvalidEvent as exc:
        rule = exc.code.partition(".")[2]
        raise InvalidEvent(f"{name}.{rule}", exc.detail.replace("event_time", name)) from None
    if not EARLIEST_MS <= at_ms < LATEST_MS:
        raise InvalidEvent(
            f"{name}.out_of_range", f"{name} must be between 2000 and 2100; an integer is epoch milliseconds"
        )
    return at_ms


def _rfc_3339(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    moment = datetime.fromtimestamp(at_ms // 1_000, UTC).replace(microsecond=at_ms % 1_000 * 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
