"""`/v1/alerts` against a log of alerts in a real Redis."""

from typing import Any

import httpx
import pytest
from redis import Redis

from alert_makers import AT_MS, CHURN, change_alert, make_alert, make_expired
from contracts.alerts import CART_ABANDONED, Severity
from readers.alerts.log import MAX_SCANNED
from shop_state import ShopState

LIST = "/v1/alerts"


async def pull(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"{LIST}{query}")
    assert answer.status_code == 200, answer.text
    fields: dict[str, Any] = answer.json()
    return fields


def users(page: dict[str, Any]) -> list[str]:
    return [alert["user_id"] for alert in page["alerts"]]


async def test_an_alert_has_times_money_reasons_and_offer(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts([CHURN])
    state.flush()
    answer = await client.get(LIST)
    assert answer.headers["cache-control"] == "no-store"
    (alert,) = answer.json()["alerts"]
    assert alert == {
        "record_id": "0a1b-firing",
        "alert_id": "0a1b",
        "kind": "churn_risk",
        "state": "firing",
        "severity": "high",
        "user_id": "u1",
        "customer_id": None,
        "session_id": "s-9",
        "session": 3,
        "segment": "returning",
        "session_started_at": "2025-10-09T08:52:20Z",
        "episode": 1,
        "at": "2025-10-09T08:53:20Z",
        "fired_at": "2025-10-09T08:53:20Z",
        "live": True,
        "cart_lines": 2,
        "cart_value": {"currency": "EUR", "amount_minor": 5_990, "amount": "59.90"},
        "value_at_risk": {"currency": "EUR", "amount_minor": 5_511, "amount": "55.11"},
        "purchase_probability": 0.08,
        "threshold": 0.15,
        "model": "m-1",
        "reasons": list(CHURN.reasons),
        "offer": {
            "kind": "cart",
            "names": ["p1", "p2"],
            "words": "2 products worth 59.90 EUR in the cart: p1, p2",
        },
        "handling": {"state": "open", "by": None, "at": None, "until": None, "feedback": None},
    }
    assert answer.json()["mode"] == "live"


async def test_a_cart_without_prices_has_no_value(client: httpx.AsyncClient, state: ShopState) -> None:
    state.publish_alerts([change_alert(CHURN, cart_value_minor=None, currency=None, live=False)])
    state.flush()
    (alert,) = (await pull(client))["alerts"]
    assert (alert["cart_value"], alert["value_at_risk"], alert["live"]) == (None, None, False)


async def test_a_puller_gets_every_step_once_in_order_and_then_what_is_new(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i) for i in range(7))
    state.flush()
    seen: list[str] = []
    query, more = "?limit=3", True
    while more:
        page = await pull(client, query)
        seen += users(page)
        query, more = f"?limit=3&after={page['next']}", page["more"]
        assert not page["reset"]
    assert seen == [f"u{i}" for i in range(7)]

    state.publish_alerts([make_expired(make_alert(3))])
    state.flush()
    page = await pull(client, query)
    assert [alert["record_id"] for alert in page["alerts"]] == ["id3-expired"]
    assert (await pull(client, f"?after={page['next']}"))["alerts"] == []


async def test_an_empty_log_gives_a_cursor_that_finds_what_comes(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    page = await pull(client)
    assert (page["alerts"], page["more"], page["reset"]) == ([], False, False)
    state.publish_alerts([CHURN])
    state.flush()
    after = await pull(client, f"?after={page['next']}")
    assert (users(after), after["reset"]) == (["u1"], False)


async def test_filters_leave_only_what_was_asked_for(client: httpx.AsyncClient, state: ShopState) -> None:
    state.publish_alerts(
        [
            make_alert(0, severity=Severity.LOW),
            make_alert(1, kind=CART_ABANDONED),
            make_expired(make_alert(0)),
            make_alert(3),
        ]
    )
    state.flush()
    assert users(await pull(client, "?kind=cart_abandoned")) == ["u1"]
    assert users(await pull(client, "?severity=low&state=firing")) == ["u0"]
    assert users(await pull(client, "?state=expired")) == ["u0"]
    assert users(await pull(client, "?since=2025-10-09T08:53:21Z&kind=churn_risk")) == ["u0", "u3"]
    assert users(await pull(client, f"?since={AT_MS + 3_000}")) == ["u0", "u3"]
    assert users(await pull(client, "?limit=1&kind=cart_abandoned")) == ["u1"]


async def test_the_newest_come_oldest_first_and_can_be_followed(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i, severity=Severity.LOW if i % 2 else Severity.HIGH) for i in range(20))
    state.flush()
    page = await pull(client, "?newest=true&limit=3&severity=high")
    assert (users(page), page["more"], page["reset"]) == (["u14", "u16", "u18"], False, False)
    state.publish_alerts([make_alert(20)])
    state.flush()
    assert users(await pull(client, f"?after={page['next']}")) == ["u20"]
    assert users(await pull(client, "?newest=true&limit=1&min_severity=medium&min_value_minor=5990")) == [
        "u20"
    ]


async def test_a_rare_step_is_found_over_several_bounded_requests(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i) for i in range(MAX_SCANNED))
    state.publish_alerts([make_alert(MAX_SCANNED, kind=CART_ABANDONED)])
    state.flush()
    page = await pull(client, "?kind=cart_abandoned")
    assert (page["alerts"], page["more"]) == ([], True)
    page = await pull(client, f"?kind=cart_abandoned&after={page['next']}")
    assert (users(page), page["more"]) == ([f"u{MAX_SCANNED}"], False)


async def test_a_cursor_of_steps_that_are_gone_starts_at_the_oldest_and_says_so(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i) for i in range(6))
    state.flush()
    first = (await pull(client, "?limit=1"))["next"]
    fifth = (await pull(client, "?limit=5"))["next"]
    state.trim_alerts(2)
    state.flush()
    page = await pull(client, f"?after={first}")
    assert (users(page), page["reset"]) == (["u4", "u5"], True)
    page = await pull(client, f"?after={fifth}")
    assert (users(page), page["reset"]) == (["u5"], False)


async def test_a_cursor_of_an_entry_that_was_removed_since_is_not_lost(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i) for i in range(3))
    state.flush()
    newest = (await pull(client))["next"]
    with Redis.from_url(state.settings.redis_url) as redis:
        redis.xdel(state.keys.alerts(), newest)  # as the deletion of a visitor does
    page = await pull(client, f"?after={newest}")
    assert (page["alerts"], page["reset"], page["more"]) == ([], False, False)
    state.publish_alerts([make_alert(3)])
    state.flush()
    assert users(await pull(client, f"?after={newest}")) == ["u3"]


@pytest.mark.parametrize("entries", [0, 2])
async def test_a_cursor_ahead_of_the_log_is_of_a_log_that_was_lost(
    client: httpx.AsyncClient, state: ShopState, entries: int
) -> None:
    state.publish_alerts(make_alert(i) for i in range(entries))
    state.flush()
    page = await pull(client, "?after=18446744073709551615-18446744073709551615")
    assert (len(page["alerts"]), page["reset"]) == (entries, True)


async def test_an_entry_of_another_version_is_left_out(
    client: httpx.AsyncClient, state: ShopState, caplog: pytest.LogCaptureFixture
) -> None:
    redis = Redis.from_url(state.settings.redis_url)
    redis.xadd(state.keys.alerts(), {"id": "x", "value": '{"schema": 99}'})
    redis.xadd(state.keys.alerts(), {"something": "else"})
    redis.close()
    state.publish_alerts([CHURN])
    state.flush()
    assert users(await pull(client)) == ["u1"]
    assert "schema.unsupported" in caplog.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("kind=secret-name", "kind.not_allowed"),
        ("severity=secret-name", "severity.not_allowed"),
        ("state=open", "state.not_allowed"),
        ("since=secret-name", "since.not_time"),
        ("since=2025-10-09T08:53:21", "since.naive"),
        ("since=1", "since.out_of_range"),
        ("after=secret-name", "after.not_cursor"),
        ("after=1-99999999999999999999", "after.not_cursor"),
        ("after=-", "after.not_cursor"),
        ("limit=0", "limit.too_small"),
        ("limit=501", "limit.too_large"),
        ("newest=secret-name", "newest.not_boolean"),
        ("newest=true&after=0-0", "newest.with_after"),
        ("handling=secret-name", "handling.not_allowed"),
        ("min_severity=secret-name", "min_severity.not_allowed"),
        ("min_value_minor=-1", "min_value_minor.too_small"),
        ("secret-name=1", "query.unknown"),
    ],
)
async def test_a_bad_parameter_is_named(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "secret-name" not in answer.text
