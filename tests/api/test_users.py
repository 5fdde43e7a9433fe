"""`/v1/users/{user_id}` against blobs in a real Redis."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis import Redis

from api.resources.users.schemas import NewestVisitors, VisitorState
from contracts.clock import wall_clock_ms
from contracts.events import EventType
from contracts.visitor import Action, CartLine, Session, Totals, Visitor, pack_actions, pack_visitor
from shop_state import ShopState, make_event

AT_MS = 1_570_000_000_000


def make_visitor(**head: Any) -> Visitor:
    session = Session("s1", 2, AT_MS - 60_000, AT_MS, (3, 1, 2, 1, 1), 2, {"EUR": 3_998}, {})
    actions = (
        Action(AT_MS - 60_000, 0, b"a" * 8, "p1", 1, 1_999, "EUR", "shoes", "Acme", "s1"),
        Action(AT_MS, 2, b"b" * 8, "p2", 3, None, None, None, None, "s1"),
    )
    totals = Totals(AT_MS - 86_400_000, AT_MS, (9, 1, 4, 1, 2), 4, {"EUR": 9_000, "JPY": 500})
    return Visitor(totals, None, session._replace(**head), pack_actions(actions), False, 0, b"", {})


async def test_a_visitor_has_session_cart_totals_and_recent_actions(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    cart = {
        "late": CartLine(1, 500, "JPY", AT_MS),
        "early": CartLine(3, 1_999, "EUR", AT_MS - 9_000),
        "unpriced": CartLine(2, None, None, AT_MS - 5_000),
    }
    state.put_visitor("u1", make_visitor(cart=cart))
    state.set_meta(0, max_event_ms=AT_MS + 1, broker_ms=wall_clock_ms())
    state.flush()
    answer = await client.get("/v1/users/u1")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    user = answer.json()
    assert VisitorState.model_validate(user).model_dump(mode="json") == user, "or the document is wrong"
    assert user["mode"] == "replay"
    assert user["as_of"] == "2019-10-02T07:06:40.001000Z"
    session = user["session"]
    assert (session["session_id"], session["number"], session["ended"]) == ("s1", 2, False)
    assert session["counts"] == {"view": 3, "favorite": 1, "cart": 2, "remove_from_cart": 1, "purchase": 1}
    assert session["revenue"] == [{"currency": "EUR", "amount_minor": 3_998, "amount": "39.98"}]
    assert [line["product_id"] for line in user["cart"]["lines"]] == ["early", "unpriced", "late"]
    assert user["cart"]["lines"][0]["value"]["amount"] == "59.97"
    assert user["cart"]["lines"][1]["value"] is None
    assert user["cart"]["units"] == 6
    assert [(m["currency"], m["amount"]) for m in user["cart"]["value"]] == [("EUR", "59.97"), ("JPY", "500")]
    assert user["totals"]["units_bought"] == 4
    assert [(a["event_type"], a["product_id"]) for a in user["recent"]] == [("cart", "p2"), ("view", "p1")]
    assert user["recent"][1]["unit_price"]["amount"] == "19.99"


async def test_the_visitors_who_acted_last_are_listed(client: httpx.AsyncClient, state: ShopState) -> None:
    now = wall_clock_ms()
    state.add_events(make_event(EventType.VIEW, now - n * 1_000, user_id=f"u{n}") for n in (3, 1, 2, 0, 4))
    state.flush()
    answer = await client.get("/v1/users?limit=3")
    assert NewestVisitors.model_validate(answer.json()).model_dump(mode="json") == answer.json()
    assert [each["user_id"] for each in answer.json()["visitors"]] == ["u0", "u1", "u2"]
    assert (await client.get("/v1/users?limit=0")).json()["code"] == "limit.too_small"


@pytest.mark.parametrize("user_id", ["a/b/c", "käse 🧀", "100%", "x?y#z", "a:b{c}", "//", ".", "x" * 128])
async def test_every_id_the_contract_allows_works_when_percent_encoded(
    client: httpx.AsyncClient, state: ShopState, user_id: str
) -> None:
    state.put_visitor(user_id, make_visitor())
    state.flush()
    answer = await client.get(f"/v1/users/{quote(user_id, safe='').replace('.', '%2E')}")
    assert answer.status_code == 200
    assert answer.json()["user_id"] == user_id


async def test_an_unknown_visitor_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/users/nobody-knows-me")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["code"] == "user.unknown"
    assert "nobody-knows-me" not in answer.text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "user_id.blank"),
        ("%20", "user_id.blank"),
        ("x" * 129, "user_id.too_long"),
        ("a%00b", "user_id.control_characters"),
    ],
)
async def test_an_impossible_id_is_refused_with_field_and_rule(
    client: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await client.get(f"/v1/users/{path}")
    assert answer.status_code == 422
    assert answer.json()["code"] == code


@pytest.mark.parametrize("blob", [b"garbage", b"", b"\x91\x63", b"\xff" * 20])
async def test_a_state_that_cannot_be_read_is_as_if_there_were_none(
    client: httpx.AsyncClient, state: ShopState, blob: bytes
) -> None:
    with Redis.from_url(state.settings.redis_url) as redis:
        redis.set(state.keys.visitor("u1"), blob)
        redis.rpush(state.keys.visitor("u2"), "of another type")
    for path in ("/v1/users/u1", "/v1/users/u2", "/v1/users/u1/next-action"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "user.unknown")
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"tail": make_visitor().tail._replace(packed=b"\x9a garbage")},
        {"totals": make_visitor().totals._replace(revenue_minor={"EUS": 1})},
        {"totals": make_visitor().totals._replace(last_ms=2**60)},
        {"head": make_visitor().head._replace(cart={"p1": CartLine("many", 1, "EUR", AT_MS)})},  # type: ignore[arg-type]
    ],
    ids=["actions", "currency", "time", "cart"],
)
async def test_so_is_a_state_of_which_a_part_cannot_be_read(
    client: httpx.AsyncClient, state: ShopState, spoiled: dict[str, Any]
) -> None:
    with Redis.from_url(state.settings.redis_url) as redis:
        redis.set(state.keys.visitor("u1"), pack_visitor(make_visitor()._replace(**spoiled)))
    answer = await client.get("/v1/users/u1")
    assert (answer.status_code, answer.json()["code"]) == (404, "user.unknown")


async def test_a_state_of_a_later_version_is_a_problem_of_its_own(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    with Redis.from_url(state.settings.redis_url) as redis:
        redis.set(state.keys.visitor("u1"), b"\x9a\x7f" + pack_visitor(make_visitor())[2:])
    answer = await client.get("/v1/users/u1")
    assert (answer.status_code, answer.json()["code"]) == (503, "state.later_version")
