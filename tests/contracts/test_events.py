"""The event contract: what is read, what is refused with which code, and that nothing changes on the way."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.currencies import MINOR_DIGITS
from contracts.event_ids import content_id
from contracts.events import (
    GUEST,
    LOGGED_OUT,
    MAX_EVENT_BYTES,
    Event,
    EventType,
    InvalidEvent,
    decode,
    encode,
    format_minor,
)
from contracts.fields import EARLIEST_MS, MAX_AHEAD_MS

NOW_MS = 1_760_000_000_000
GOLDEN = sorted((Path(__file__).parent / "golden").glob("v*.json"))
VALID: dict[str, Any] = {
    "event_id": "e",
    "event_type": "view",
    "event_time": NOW_MS,
    "user_id": "u",
    "product_id": "p",
}


def read(raw: bytes | None) -> Event:
    return decode(raw, received_ms=NOW_MS, default_currency="EUR")


def read_with(**fields: object) -> Event:
    return read(orjson.dumps(VALID | fields))


def code_of(raw: bytes | None) -> str:
    with pytest.raises(InvalidEvent) as caught:
        read(raw)
    assert str(caught.value) == f"{caught.value.code}: {caught.value.detail}"
    return caught.value.code


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_events_of_every_schema_version_are_read_as_ever(path: Path) -> None:
    for case in json.loads(path.read_text()):
        event = read(case["wire"].encode())
        assert event._asdict() == {"customer_id": None, **case["event"]}
        assert read(encode(event)) == event


REFUSED_FIELDS: list[tuple[dict[str, object], str]] = [
    ({"event_type": None}, "event_type.missing"),
    ({"event_type": "purchased"}, "event_type.unknown"),
    ({"event_type": "VIEW"}, "event_type.unknown"),
    ({"event_type": "addtocart"}, "event_type.unknown"),
    ({"event_type": ["view"]}, "event_type.unknown"),
    ({"event_type": True}, "event_type.unknown"),
    ({"event_time": None}, "event_time.missing"),
    ({"event_time": True}, "event_time.not_time"),
    ({"event_time": 1.76e12}, "event_time.not_time"),
    ({"event_time": "yesterday"}, "event_time.not_time"),
    ({"event_time": "2025-10-09"}, "event_time.not_time"),
    ({"event_time": "2025-1009T08:53:20Z"}, "event_time.not_time"),
    ({"event_time": "2025-10-09T08:53:20+25:00"}, "event_time.not_time"),
    ({"event_time": "2025-W41-4T08:53:20Z"}, "event_time.not_time"),
    ({"event_time": "2025-10-09x08:53:20Z"}, "event_time.not_time"),
    ({"event_time": "2025-13-09T08:53:20Z"}, "event_time.not_time"),
    ({"event_time": "\uff12\uff1025-10-09T08:53:20Z"}, "event_time.not_time"),
    ({"event_time": str(NOW_MS)}, "event_time.not_time"),
    ({"event_time": "2025-10-09T08:53:20"}, "event_time.naive"),
    ({"event_time": "0001-01-01T00:00:00+14:00"}, "event_time.too_early"),
    ({"event_time": "1970-01-01T00:00:00Z"}, "event_time.too_early"),
    ({"event_time": 0}, "event_time.too_early"),
    ({"event_time": NOW_MS // 1_000}, "event_time.too_early"),
    ({"event_time": EARLIEST_MS - 1}, "event_time.too_early"),
    ({"event_time": "9999-12-31T23:59:59Z"}, "event_time.in_future"),
    ({"event_time": NOW_MS + 10 * 365 * 86_400_000}, "event_time.in_future"),
    ({"event_time": NOW_MS + MAX_AHEAD_MS + 1}, "event_time.in_future"),
    ({"user_id": None}, "user_id.missing"),
    ({"user_id": ""}, "user_id.blank"),
    ({"user_id": "  \u3000"}, "user_id.blank"),
    ({"user_id": "u" * 10_240}, "user_id.too_long"),
    ({"user_id": 1.5}, "user_id.not_string"),
    ({"user_id": True}, "user_id.not_string"),
    ({"user_id": {"id": 1}}, "user_id.not_string"),
    ({"user_id": "a\x00b"}, "user_id.control_characters"),
    ({"user_id": "a\u2028b"}, "user_id.control_characters"),
    ({"product_id": None}, "product_id.missing"),
    ({"product_id": "p\n"}, "product_id.control_characters"),
    ({"session_id": " "}, "session_id.blank"),
    ({"order_id": "o" * 129}, "order_id.too_long"),
    ({"event_id": ""}, "event_id.blank"),
    ({"category": "c" * 257}, "category.too_long"),
    ({"category": ["a"]}, "category.not_string"),
    ({"brand": "\x1b[2J"}, "brand.control_characters"),
    ({"brand": False}, "brand.not_string"),
    ({"price": "NaN"}, "price.not_finite"),
    ({"price": "-Infinity"}, "price.not_finite"),
    ({"price": True}, "price.not_number"),
    ({"price": [1]}, "price.not_number"),
    ({"price": "12,50"}, "price.not_number"),
    ({"price": "$12"}, "price.not_number"),
    ({"price": "١٢"}, "price.not_number"),
    ({"price": "1_000"}, "price.not_number"),
    ({"price": " 12 "}, "price.not_number"),
    ({"price": "1e3"}, "price.not_number"),
    ({"price": ""}, "price.not_number"),
    ({"price": "9" * 400}, "price.not_number"),
    ({"price": -5}, "price.negative"),
    ({"price": -0.001}, "price.negative"),
    ({"price": "-0.001"}, "price.negative"),
    ({"price": 1e12}, "price.too_large"),
    ({"price": 1e305}, "price.not_finite"),
    ({"price": "1000000001"}, "price.too_large"),
    ({"currency": "XXX"}, "currency.unknown"),
    ({"currency": "euro"}, "currency.unknown"),
    ({"currency": 978}, "currency.unknown"),
    ({"currency": ["EUR"], "price": 1}, "currency.unknown"),
    ({"quantity": 0}, "quantity.not_positive"),
    ({"quantity": -2}, "quantity.not_positive"),
    ({"quantity": 1.5}, "quantity.not_integer"),
    ({"quantity": "1.5"}, "quantity.not_integer"),
    ({"quantity": "two"}, "quantity.not_integer"),
    ({"quantity": 1e9}, "quantity.too_large"),
    ({"quantity": 10**9}, "quantity.too_large"),
    ({"quantity": True}, "quantity.not_number"),
    ({"schema": 3}, "schema.unsupported"),
    ({"schema": 0}, "schema.unsupported"),
    ({"schema": "2"}, "schema.unsupported"),
    ({"schema": 2.0}, "schema.unsupported"),
    ({"schema": True}, "schema.unsupported"),
    ({"schema": None}, "schema.unsupported"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSED_FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_that_breaks_a_rule_is_refused_with_its_code(fields: dict[str, object], code: str) -> None:
    assert code_of(orjson.dumps(VALID | fields)) == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "event.empty"),
        (b"", "event.not_json"),
        (b"{", "event.not_json"),
        (b"\xff\xfe", "event.not_json"),
        (b'{"price": NaN}', "event.not_json"),
        (b'{"price": 1e400}', "event.not_json"),
        (b'{"user_id": "\\ud800"}', "event.not_json"),
        (b"[" * 5_000, "event.not_json"),
        (b"null", "event.not_object"),
        (b"[]", "event.not_object"),
        (b"1", "event.not_object"),
        (b'"x"', "event.not_object"),
        (b"{}", "event_type.missing"),
        (b" " * (MAX_EVENT_BYTES + 1), "event.too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bytes_that_are_no_event_are_refused(raw: bytes | None, code: str) -> None:
    assert code_of(raw) == code


@pytest.mark.parametrize("depth", [100, 250, 253, 400, 1_000])
@pytest.mark.parametrize("event_id", ["e", None])
def test_an_event_that_is_read_can_always_be_written(depth: int, event_id: str | None) -> None:
    raw = orjson.dumps(VALID | {"event_id": event_id})[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    if depth >= 253:
        assert code_of(raw) == "event.too_deep"
    else:
        assert read(encode(read(raw))) == read(raw)


@pytest.mark.parametrize(
    "name", ["session_id", "price", "currency", "quantity", "category", "brand", "order_id"]
)
def test_null_means_that_an_optional_field_is_absent(name: str) -> None:
    assert read_with(**{name: None}) == read_with()


def test_numbers_written_as_strings_or_whole_floats_are_numbers() -> None:
    assert read_with(price="19.99").price_minor == 1_999
    assert read_with(price=20).price_minor == 2_000
    assert read_with(price=0.1 + 0.2).price_minor == 30
    assert read_with(price=-0.0).price_minor == 0
    assert read_with(quantity=3.0).quantity == 3
    assert read_with(quantity="4").quantity == 4


def test_markup_and_code_in_texts_are_kept_as_text() -> None:
    for text in ("<script>alert(1)</script>", "'; DROP TABLE x", "{{7*7}}", "${jndi:ldap://x}"):
        assert read_with(brand=text, user_id=text).brand == text


def test_times_up_to_the_bounds_are_taken() -> None:
    assert read_with(event_time=EARLIEST_MS).event_time_ms == EARLIEST_MS
    assert read_with(event_time=NOW_MS + MAX_AHEAD_MS).event_time_ms == NOW_MS + MAX_AHEAD_MS


@pytest.mark.parametrize(
    "text",
    [
        "2025-10-09T08:53:20Z",
        "2025-10-09 10:53:20+02:00",
        "2025-10-09t08:53:20.000z",
        "2025-10-09T08:53:20.000+0000",
        "2025-10-09T10:53:20+0200",
        "2025-10-09T10:53:20+02",
        "2025-10-09 08:53:20 +0000",
        "2025-10-09 08:53:20 UTC",
        "2025-10-09T08:53:20,000Z",
        "2025-10-09T08:53:20.000000000Z",
        "20251009T085320Z",
    ],
)
def test_times_are_read_as_libraries_write_them(text: str) -> None:
    assert read_with(event_time=text).event_time_ms == NOW_MS


def test_a_currency_is_known_in_lower_case_too() -> None:
    assert read_with(price="5", currency="usd") == read_with(price=5, currency="USD")


def test_the_id_of_an_order_is_the_same_with_blanks_around_it() -> None:
    ids = ("o-1", " o-1", "o-1\u00a0")
    assert {read_with(event_type="purchase", order_id=id_).order_id for id_ in ids} == {"o-1"}


def test_a_byte_order_mark_is_not_of_the_event() -> None:
    raw = orjson.dumps(VALID)
    assert read(b"\xef\xbb\xbf" + raw) == read(raw)


def test_an_order_without_a_product_is_its_amount() -> None:
    order = {"event_type": "purchase", "product_id": None, "order_id": "o"}
    for told in ({"price": 30}, {"total": "30.00"}, {"value": 30.0}):
        event = read_with(**order, **told)
        assert (event.product_id, event.price_minor, event.extra) == ("", 3_000, None)
        assert read(encode(event)) == event
    assert read_with(**order).price_minor is None
    assert code_of(orjson.dumps(VALID | order | {"order_id": None})) == "product_id.missing"
    assert code_of(orjson.dumps(VALID | order | {"product_id": ""})) == "product_id.blank"
    assert code_of(orjson.dumps(VALID | order | {"items": [{"id": "a"}]})) == "product_id.missing"
    assert code_of(orjson.dumps(VALID | order | {"total": "much"})) == "total.not_number"


@pytest.mark.parametrize("told", [{"price": -5}, {"price": "-5.00"}, {"price": 5, "quantity": -1}])
def test_a_purchase_of_a_negative_amount_is_a_refund(told: dict[str, object]) -> None:
    event = read_with(event_type="purchase", order_id="o", **told)
    assert (event.event_type, event.price_minor, event.quantity) == (EventType.REFUND, 500, 1)
    assert read_with(event_type="refund", order_id="o", **told) == event


def test_a_refund_without_an_id_is_the_same_whenever_it_is_told() -> None:
    refund = VALID | {"event_type": "refund", "event_id": None, "order_id": "o", "price": 5}
    first, again, other = (
        read(orjson.dumps(refund | change)) for change in ({}, {"event_time": NOW_MS - 1}, {"price": 6})
    )
    assert first.event_id == again.event_id != other.event_id


def test_an_event_without_an_id_gets_one_from_its_content() -> None:
    first = read(orjson.dumps(VALID | {"event_id": None, "note": "a"}))
    again = read(orjson.dumps({"note": "a"} | VALID | {"event_id": None}))
    other = read(orjson.dumps(VALID | {"event_id": None, "note": "b"}))
    assert first.event_id == again.event_id != other.event_id
    assert content_id("a", 1) != content_id("a", "1")


def test_a_detail_never_repeats_what_the_visitor_sent() -> None:
    for name in ("event_type", "event_time", "price", "quantity", "currency"):
        with pytest.raises(InvalidEvent) as caught:
            read_with(**{name: "secret@example.org"})
        assert "secret" not in str(caught.value)


_texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=40
)
_ids = _texts.filter(lambda text: not text.isspace())
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
_prices = st.sampled_from(sorted(MINOR_DIGITS)).flatmap(
    lambda currency: st.tuples(st.integers(0, 10**9 * 10 ** MINOR_DIGITS[currency]), st.just(currency))
)
_events = st.builds(
    lambda event, price: event._replace(price_minor=price[0], currency=price[1]),
    st.builds(
        Event,
        event_id=_ids,
        event_type=st.sampled_from(EventType),
        event_time_ms=st.integers(EARLIEST_MS, NOW_MS + MAX_AHEAD_MS),
        user_id=_ids,
        product_id=_ids,
        session_id=st.none() | _ids,
        quantity=st.integers(1, 1_000_000),
        category=st.none() | _texts,
        brand=st.none() | _texts,
        order_id=st.none() | _ids.map(str.strip),
        customer_id=st.sampled_from((None, GUEST, LOGGED_OUT)) | _ids.map(lambda id_: f"c{id_[1:]}"),
        extra=st.none()
        | st.dictionaries(_texts.map(lambda name: f"x_{name}"), _json, min_size=1, max_size=3),
    ),
    _prices
    | st.just((None, None))
    | st.sampled_from(sorted(MINOR_DIGITS)).map(lambda currency: (None, currency)),
)


@given(_events)
def test_every_event_survives_the_wire(event: Event) -> None:
    assume(event.customer_id != event.user_id)
    assert read(encode(event)) == event


@pytest.mark.parametrize(
    ("ids", "visitor", "customer"),
    [
        ({"user_id": "u"}, "u", None),
        ({"user_id": 7, "anonymous_id": None}, "7", None),
        ({"anonymous_id": "d"}, "d", GUEST),
        ({"anonymous_id": "d", "user_id": None}, "d", LOGGED_OUT),
        ({"anonymous_id": "d", "user_id": "u"}, "d", "u"),
        ({"anonymous_id": 7, "user_id": 8}, "7", "8"),
        ({"anonymous_id": "u", "user_id": "u"}, "u", None),
    ],
)
def test_the_visitor_is_the_device_and_the_customer_who_is_logged_in(
    ids: dict[str, Any], visitor: str, customer: str | None
) -> None:
    fields = {name: value for name, value in VALID.items() if name != "user_id"}
    event = read(orjson.dumps(fields | ids))
    assert (event.user_id, event.customer_id) == (visitor, customer)
    assert read(encode(event)) == event


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ({}, "user_id.missing"),
        ({"user_id": None}, "user_id.missing"),
        ({"anonymous_id": " "}, "anonymous_id.blank"),
        ({"anonymous_id": "d", "user_id": ""}, "user_id.blank"),
        ({"anonymous_id": "d", "user_id": []}, "user_id.not_string"),
        ({"anonymous_id": "d" * 129, "user_id": "u"}, "anonymous_id.too_long"),
    ],
)
def test_ids_that_break_a_rule_are_named(ids: dict[str, Any], code: str) -> None:
    fields = {name: value for name, value in VALID.items() if name != "user_id"}
    with pytest.raises(InvalidEvent) as refused:
        read(orjson.dumps(fields | ids))
    assert refused.value.code == code


@given(
    st.binary(max_size=60)
    | _json.map(orjson.dumps)
    | st.dictionaries(st.sampled_from(sorted(VALID)), _json).map(orjson.dumps)
)
def test_any_bytes_are_an_event_or_refused_with_a_code(raw: bytes) -> None:
    try:
        event = read(raw)
    except InvalidEvent as exc:
        event, code = None, exc.code
    assert read(encode(event)) == event if event else code.count(".") == 1


@given(st.sampled_from(sorted(MINOR_DIGITS)), st.integers(0, 10**9))
def test_an_amount_survives_being_written(currency: str, amount_minor: int) -> None:
    assert (
        read_with(price=format_minor(amount_minor, currency), currency=currency).price_minor == amount_minor
    )
