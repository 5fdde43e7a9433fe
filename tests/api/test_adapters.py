"""Bodies of other systems as native events: golden files, and that nothing a sender writes is too much."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.adapters import ga4, segment
from api.resources.adapters.translation import Translation
from api.resources.events.validation import ValidatedEvents, ValidationContext, validate
from contracts.events import format_minor

RECEIVED_MS = 1_795_283_430_000
GOLDEN = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "golden").glob("*.json")
}
RULES = ValidationContext(RECEIVED_MS, "EUR")


def translate(body: dict[str, Any]) -> Translation:
    """What the adapter of this body makes of it."""
    if "event" in body:
        return segment.translate_call(body)
    if "batch" in body:
        return segment.translate_batch(body["batch"], body.get("sentAt"))
    return ga4.translate_body(body, received_ms=RECEIVED_MS)


def validate_golden(name: str) -> tuple[ValidatedEvents, Translation]:
    translation = translate(GOLDEN[name]["body"])
    return validate(translation.events, RULES), translation


def lines_of(name: str) -> list[tuple[str, int, str | None]]:
    """Product, quantity and price of each record of a golden file."""
    events = [record.event for record in validate_golden(name)[0].records]
    return [
        (
            e.product_id,
            e.quantity,
            None if e.price_minor is None else format_minor(e.price_minor, str(e.currency)),
        )
        for e in events
    ]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_bodies_as_their_senders_send_them_become_the_native_events_on_file(name: str) -> None:
    assert translate(GOLDEN[name]["body"])._asdict() == GOLDEN[name]["expected"]


@pytest.mark.parametrize("name", sorted(name for name in GOLDEN if not name.endswith("_refused")))
def test_the_native_events_on_file_follow_the_contract(name: str) -> None:
    validated, translation = validate_golden(name)
    assert validated.refusals == []
    assert validated.accepted == len(translation.events) > 0
    assert len({record.event.event_id for record in validated.records}) == len(validated.records)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_what_a_tag_tells_of_a_person_stays_outside(name: str) -> None:
    kept = json.dumps(GOLDEN[name]["expected"])
    for word in ("example", "Mozilla", "203.0.113", "f4a5c7", "premium", "pk_demo", "wifi", "ChIJ"):
        assert word not in kept


def test_orders_come_to_what_was_paid_for_the_goods() -> None:
    assert lines_of("segment_track_order") == [
        ("507f1f77bcf86cd799439011", 1, "17.10"),
        ("505bd76785ebb509fc183733", 2, "2.70"),
    ]
    assert lines_of("segment_batch_node") == [("a", 2, "3.33"), ("a", 1, "3.34")]
    assert lines_of("ga4_purchase") == [
        ("SKU_12345", 1, "9.62"),
        ("SKU_12346", 2, "7.90"),
    ]


def test_an_order_of_ga4_is_known_by_its_transaction() -> None:
    first, _ = validate_golden("ga4_purchase")
    body = GOLDEN["ga4_purchase"]["body"] | {"timestamp_micros": "1795283424999000"}
    again = validate(ga4.translate_body(body, received_ms=RECEIVED_MS).events, RULES)
    assert [r.event.event_id for r in again.records] == [r.event.event_id for r in first.records]
    assert [r.event.category for r in first.records] == [
        "Apparel.Adult.Shirts.Crew.Short sleeve",
        "Drinkware",
    ]


def test_two_equal_events_of_one_time_are_two_and_a_repeated_body_is_none() -> None:
    validated, _ = validate_golden("ga4_browsing")
    again, _ = validate_golden("ga4_browsing")
    views = [r.event.event_id for r in validated.records if r.event.event_type == "view"]
    assert len(set(views)) == 2
    assert [r.event.event_id for r in again.records] == [r.event.event_id for r in validated.records]


def test_refusals_name_field_and_rule() -> None:
    validated, translation = validate_golden("segment_batch_refused")
    assert [(translation.places[r.index], r.code) for r in validated.refusals] == [
        (0, "event.not_object"),
        (1, "user_id.missing"),
        (2, "price.not_number"),
        (4, "items.quantity.not_positive"),
        (6, "event_time.not_time"),
        (7, "total.not_number"),
    ]


def test_refusals_are_worded_as_the_validation_server_words_them() -> None:
    validated, translation = validate_golden("ga4_refused")
    worded = [ga4.word_refusal(translation.places[r.index], r.code, r.detail) for r in validated.refusals]
    assert [(message["fieldPath"], message["validationCode"]) for message in worded] == [
        ("events[1].params.items", "VALUE_REQUIRED"),
        ("events[2].params.items", "VALUE_REQUIRED"),
        ("events[4].params.currency", "VALUE_INVALID"),
        ("timestamp_micros", "VALUE_INVALID"),
        ("timestamp_micros", "VALUE_OUT_OF_BOUNDS"),
        ("events[7]", "VALUE_INVALID"),
    ]
    assert worded[1]["description"].startswith("Event at index: [2] items.product_id.missing: items[0]: ")


@pytest.mark.parametrize(
    ("events", "code"),
    [(None, "events.not_list"), ({}, "events.not_list"), ([{}] * 1_001, "events.too_many")],
)
def test_a_body_of_ga4_without_a_list_of_events_is_one_refusal(events: Any, code: str) -> None:
    translation = ga4.translate_body({"client_id": "c", "events": events}, received_ms=RECEIVED_MS)
    [refusal] = validate(translation.events, RULES).refusals
    assert refusal.code == code
    assert ga4.word_refusal(0, refusal.code, refusal.detail)["fieldPath"] == "events"


@pytest.mark.parametrize(
    ("properties", "total"),
    [
        ({"subtotal": 22.5, "revenue": 25, "total": 27.5, "shipping": 3, "tax": 2}, 22.5),
        ({"revenue": "25", "total": 27.5}, "25"),
        ({"total": 27.5, "shipping": "3.00", "tax": 2}, "22.50"),
        ({"total": "27.5", "tax": 2}, "25.5"),
        ({"total": 27.5}, 27.5),
        ({"total": 5, "shipping": 6}, "0"),
        ({"total": -27.5, "tax": 2}, -27.5),
        ({"total": True, "shipping": 1}, True),
        ({"total": "1_0", "shipping": 1}, "1_0"),
        ({"total": 10, "shipping": "free"}, 10),
        ({}, None),
    ],
)
def test_the_total_is_of_the_goods(properties: dict[str, Any], total: object) -> None:
    call = {"event": "Order Completed", "properties": properties}
    assert segment.translate_call(call).events[0].get("total") == total


@pytest.mark.parametrize("name", ["Product Viewed", "product_viewed", "PRODUCT VIEWED", "Viewed Product"])
def test_names_of_segment_are_read_as_its_own_libraries_read_them(name: str) -> None:
    assert segment.translate_call({"event": name}).events[0]["event_type"] == "view"


@pytest.mark.parametrize(
    ("consent", "is_denied"),
    [
        ({"categoryPreferences": {"Analytics": False, "Advertising": False}}, True),
        ({"categoryPreferences": {"Analytics": True, "Advertising": False}}, False),
        ({"categoryPreferences": {}}, False),
        ("denied", True),
        (False, True),
        (None, False),
    ],
)
def test_consent_to_nothing_is_passed_on(consent: object, is_denied: bool) -> None:
    call = {"event": "Product Viewed", "context": {"consent": consent}}
    assert (segment.translate_call(call).events[0].get("consent") is False) is is_denied


@pytest.mark.parametrize("sent_at", [0, "yesterday", {}, True, "2026-11-21T17:50:25"])
def test_a_wrong_clock_costs_no_events(sent_at: object) -> None:
    assert segment.translate_batch([], sent_at).sent_at is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.dictionaries(
    st.sampled_from([
        "product_id", "sku", "products", "items", "item_id", "price", "quantity", "currency", "value",
        "total", "tax", "order_id", "transaction_id", "session_id",
    ]),
    JSON,
)  # fmt: skip
CALL = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.sampled_from(["Product Added", "Order Completed"]) | JSON},
    optional={
        "properties": MEMBERS | JSON, "userId": JSON, "anonymousId": JSON, "context": JSON, "messageId": JSON,
        "timestamp": JSON,
    },
)  # fmt: skip
EVENT = st.fixed_dictionaries(
    {"name": st.sampled_from(["add_to_cart", "purchase"]) | JSON},
    optional={"params": MEMBERS | JSON, "timestamp_micros": JSON},
)


@pytest.mark.slow
@given(calls=st.lists(CALL | JSON, max_size=3), sent_at=JSON)
def test_whatever_segment_sends_is_translated_and_judged(calls: list[Any], sent_at: Any) -> None:
    translation = segment.translate_batch(calls, sent_at)
    assert len(translation.events) + translation.ignored == len(calls)
    validate(translation.events, RULES)


@given(
    events=st.lists(EVENT | JSON, max_size=3) | JSON,
    ids=st.dictionaries(st.sampled_from(["client_id"]), JSON),
)
def test_whatever_ga4_sends_is_translated_and_judged(events: Any, ids: dict[str, Any]) -> None:
    body = orjson.loads(orjson.dumps(ids | {"events": events}))
    translation = ga4.translate_body(body, received_ms=RECEIVED_MS)
    validate(translation.events, RULES)
    assert len(translation.events) + translation.ignored == (len(events) if type(events) is list else 1)
