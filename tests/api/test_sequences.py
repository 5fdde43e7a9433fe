"""Actions of a predict request: what is taken, how gaps are filled, and every refusal with its code."""

from typing import Any

import orjson
import pytest

from api.http.errors import Problem
from api.resources.predictions.sequences import (
    MAX_ACTIONS,
    Defaults,
    count_last_session,
    name_products,
    parse_actions,
)
from contracts.events import EventType
from contracts.visitor import Action

NOW_MS = 1_760_000_000_000
DEFAULTS = Defaults(NOW_MS, "EUR")
VIEW, FAVORITE, CART, REMOVE, PURCHASE = (
    EventType.VIEW,
    EventType.FAVORITE,
    EventType.CART,
    EventType.REMOVE_FROM_CART,
    EventType.PURCHASE,
)


def parse(*actions: Any) -> list[Action]:
    return parse_actions(orjson.dumps({"actions": actions}), DEFAULTS)


def refusals(*actions: Any) -> list[tuple[int, str]]:
    with pytest.raises(Problem) as caught:
        parse(*actions)
    assert caught.value.status == 422
    assert caught.value.code == caught.value.errors[0]["code"]
    return [(error["index"], error["code"]) for error in caught.value.errors]


def code_of(body: bytes) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        parse_actions(body, DEFAULTS)
    return caught.value.status, caught.value.code


def test_names_alone_are_a_minute_apart_and_end_now() -> None:
    actions = parse("view", "view", "cart")
    assert [action.at_ms - NOW_MS for action in actions] == [-120_000, -60_000, 0]
    assert [action.rank for action in actions] == [0, 0, 2]


def test_told_pauses_are_kept_and_that_of_the_first_action_counts_for_nothing() -> None:
    actions = parse({"event_type": "view", "after_s": 999}, {"event_type": "view", "after_s": 1.5}, "cart")
    assert [action.at_ms - NOW_MS for action in actions] == [-61_500, -60_000, 0]


def test_times_are_those_of_the_event_contract() -> None:
    actions = parse(
        {"event_type": "view", "event_time": "2025-10-09T10:53:20+02:00"},
        {"event_type": "cart", "event_time": NOW_MS, "user_id": "ignored", "name": ["ignored"]},
    )
    assert [action.at_ms for action in actions] == [NOW_MS, NOW_MS]


def test_everything_told_arrives() -> None:
    (action,) = parse(
        {
            "event_type": "cart",
            "product_id": 7,
            "price": "19.90",
            "currency": "KWD",
            "quantity": "2",
            "category": "shoes",
            "brand": "Acme",
        }
    )
    assert action[3:] == ("7", 2, 19_900, "KWD", "shoes", "Acme", None)
    assert parse({"event_type": "view", "price": 1})[0][5:7] == (100, "EUR")


def test_every_view_without_an_id_is_of_another_product() -> None:
    first, second = name_products([(VIEW, None), (VIEW, None)])
    assert first != second


def test_actions_without_an_id_are_of_the_product_that_makes_sense() -> None:
    named = name_products([(VIEW, "a"), (CART, None), (VIEW, "b"), (FAVORITE, None), (CART, None)])
    assert named == ["a", "a", "b", "b", "b"]


def test_removals_and_purchases_are_of_what_is_in_the_cart() -> None:
    named = name_products(
        [(CART, "a"), (CART, "b"), (VIEW, "c"), (REMOVE, None), (PURCHASE, None), (PURCHASE, None)]
    )
    assert named[3:] == ["b", "a", "a"]


def test_a_sequence_may_begin_with_anything() -> None:
    for event_type in EventType:
        (product,) = name_products([(event_type, None)])
        assert product


def test_only_actions_since_the_last_long_pause_are_of_the_last_session() -> None:
    actions = parse(
        "view", {"event_type": "view", "after_s": 1_801}, {"event_type": "cart", "after_s": 1_800}
    )
    assert count_last_session(actions, 1_800_000) == 2
    assert count_last_session(actions, 2_000_000) == 3
    assert count_last_session(actions[:1], 1_800_000) == 1


def test_as_many_actions_as_allowed_are_taken() -> None:
    assert len(parse(*["view"] * MAX_ACTIONS)) == MAX_ACTIONS


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "body.empty"),
        (b"  ", 400, "body.empty"),
        (b"{", 400, "body.not_json"),
        (b'{"actions": [{"event_type": "view", "price": NaN}]}', 400, "body.not_json"),
        (b'{"actions": ["view\xff"]}', 400, "body.not_json"),
        (b"[" * 100_000, 400, "body.not_json"),
        (b'["view"]', 400, "body.not_object"),
        (b"null", 400, "body.not_object"),
        (b"{}", 422, "actions.missing"),
        (b'{"actions": null}', 422, "actions.missing"),
        (b'{"actions": "view"}', 422, "actions.not_list"),
        (b'{"actions": {"event_type": "view"}}', 422, "actions.not_list"),
        (b'{"actions": []}', 422, "actions.empty"),
        (b'{"actions": ["view"], "currency": "EUR"}', 422, "body.unknown_field"),
        (orjson.dumps({"actions": ["view"] * (MAX_ACTIONS + 1)}), 422, "actions.too_many"),
        (orjson.dumps({"actions": ["view"] * 10_000}), 422, "actions.too_many"),
    ],
)
def test_a_body_without_a_sequence_is_refused_with_a_code(body: bytes, status: int, code: str) -> None:
    assert code_of(body) == (status, code)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("leave", "event_type.unknown"),
        ("", "event_type.unknown"),
        ({}, "event_type.missing"),
        (None, "action.not_object"),
        (7, "action.not_object"),
        (["view"], "action.not_object"),
        ({"event_type": "view", "price": -1}, "price.negative"),
        ({"event_type": "view", "price": "NaN"}, "price.not_finite"),
        ({"event_type": "view", "price": "-inf"}, "price.not_finite"),
        ({"event_type": "view", "price": True}, "price.not_number"),
        ({"event_type": "view", "price": 10**12}, "price.too_large"),
        ({"event_type": "view", "price": 1, "currency": "XXX"}, "currency.unknown"),
        ({"event_type": "cart", "quantity": 0}, "quantity.not_positive"),
        ({"event_type": "view", "product_id": ""}, "product_id.blank"),
        ({"event_type": "view", "product_id": 1.5}, "product_id.not_string"),
        ({"event_type": "view", "brand": 1.5}, "brand.not_string"),
        ({"event_type": "view", "after_s": -1}, "after_s.negative"),
        ({"event_type": "view", "after_s": "60"}, "after_s.not_number"),
        ({"event_type": "view", "after_s": True}, "after_s.not_number"),
        ({"event_type": "view", "after_s": 10**9}, "after_s.too_large"),
    ],
)
def test_an_action_that_breaks_a_rule_is_named_with_its_place(action: Any, code: str) -> None:
    assert refusals("view", action, "view") == [(1, code)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"event_time": "2025-10-09T10:53:20"}, "event_time.naive"),
        ({"event_time": "yesterday"}, "event_time.not_time"),
        ({"event_time": NOW_MS // 1_000}, "event_time.too_early"),
        ({"event_time": NOW_MS + 3_600_000}, "event_time.in_future"),
        ({"event_time": NOW_MS - 60_001}, "event_time.out_of_order"),
        ({}, "event_time.missing"),
        ({"event_time": NOW_MS, "after_s": 3}, "after_s.unexpected"),
    ],
)
def test_a_time_that_breaks_a_rule_is_named_with_its_place(fields: dict[str, Any], code: str) -> None:
    first = {"event_type": "view", "event_time": NOW_MS - 60_000}
    assert refusals(first, {"event_type": "view", **fields}) == [(1, code)]


def test_all_broken_actions_are_named_and_nothing_is_repeated() -> None:
    with pytest.raises(Problem) as caught:
        parse("secret-name", "view", {"event_type": "view", "price": "secret-name"})
    assert [error["index"] for error in caught.value.errors] == [0, 2]
    assert caught.value.detail.startswith("actions[0]: event_type must be one of view,")
    assert "secret-name" not in str(caught.value.errors)
