"""Acknowledge, snooze and judge alerts, one alert, and what comes of it in `/v1/models`, on a real Redis."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from redis import Redis

from alert_makers import make_alert, make_expired
from api.resources.models.report import ModelsReport
from api.services import services_of
from connections.asyncio_redis import open_redis_pool
from contracts.alerts import CART_ABANDONED
from contracts.clock import wall_clock_ms
from contracts.keys import HANDLING_TTL_S
from readers.alerts.handling import is_muted
from readers.reader import Reader
from shop_state import ShopState

ALERT = "/v1/alerts/id0"


@pytest.fixture(autouse=True)
def published(state: ShopState) -> None:
    """`id0` is open, `id1` has expired."""
    state.publish_alerts([make_alert(0), make_alert(1), make_expired(make_alert(1))])
    state.flush()


async def say(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    handling: dict[str, Any] = answer.json()["handling"]
    return handling


async def take_back(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.delete(path)
    assert answer.status_code == 200, answer.text
    handling: dict[str, Any] = answer.json()["handling"]
    return handling


async def listed(client: httpx.AsyncClient, query: str) -> list[str]:
    page = (await client.get(f"/v1/alerts?{query}")).json()
    return [alert["record_id"] for alert in page["alerts"]]


async def figures(client: httpx.AsyncClient, version: str | None = "m-1") -> dict[str, Any]:
    """The feedback of churn alerts of a version in the last hour; the answer of models is kept a while."""
    services_of(client.app).get(ModelsReport)._kept = None  # type: ignore[attr-defined]
    found = (await client.get("/v1/models")).json()
    for model in found["models"]:
        if model["version"] == version:
            churn = model["windows"]["1h"]["alerts"]["churn_risk"]
            return {name: churn[name] for name in ("useful", "wrong", "judged_precision")}
    return {}


@pytest.fixture
async def client(app: Any, client: httpx.AsyncClient) -> httpx.AsyncClient:
    client.app = app  # type: ignore[attr-defined]
    return client


async def test_an_alert_has_its_steps_and_its_handling(client: httpx.AsyncClient) -> None:
    life = (await client.get("/v1/alerts/id1")).json()
    assert (life["alert_id"], life["state"]) == ("id1", "expired")
    assert [step["state"] for step in life["steps"]] == ["firing", "expired"]
    assert life["handling"]["state"] == "open"
    assert (await client.get(ALERT)).json()["state"] == "firing"


async def test_who_acknowledges_first_stays_and_a_repeat_changes_nothing(client: httpx.AsyncClient) -> None:
    first = await say(client, f"{ALERT}/acknowledge")
    assert (first["state"], first["by"], first["until"]) == ("acknowledged", "", None)
    assert await say(client, f"{ALERT}/acknowledge") == first
    assert (await client.get(ALERT)).json()["handling"] == first
    assert await listed(client, "handling=acknowledged") == ["id0-firing"]
    assert (await take_back(client, f"{ALERT}/acknowledge"))["state"] == "open"
    assert await listed(client, "handling=acknowledged") == []
    assert await listed(client, "handling=open&state=firing") == ["id0-firing", "id1-firing"]


async def test_an_acknowledgement_that_was_not_heard_may_be_repeated_after_the_end(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    first = await say(client, f"{ALERT}/acknowledge")
    state.publish_alerts([make_expired(make_alert(0))])
    state.flush()
    assert await say(client, f"{ALERT}/acknowledge") == first


async def test_a_snooze_hides_the_acknowledgement_until_it_ends(client: httpx.AsyncClient) -> None:
    await say(client, f"{ALERT}/acknowledge")
    snoozed = await say(client, f"{ALERT}/snooze", for_s=600)
    assert snoozed["state"] == "snoozed"
    until = datetime.now(UTC) + timedelta(hours=2)
    moved = await say(client, f"{ALERT}/snooze", until=until.isoformat())
    assert abs(datetime.fromisoformat(moved["until"]) - until) < timedelta(milliseconds=2)
    assert await listed(client, "handling=snoozed") == ["id0-firing"]
    assert (await take_back(client, f"{ALERT}/snooze"))["state"] == "acknowledged"


async def test_a_snooze_mutes_a_visitor_and_a_kind_until_its_end(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    await say(client, f"{ALERT}/snooze", for_s=600)
    redis = open_redis_pool(state.settings)
    reader = Reader(redis, state.settings)
    later = make_alert(7, user_id="u0")
    assert await is_muted(reader, later, wall_clock_ms())
    assert not await is_muted(reader, later, wall_clock_ms() + 601_000)
    assert not await is_muted(reader, later._replace(kind=CART_ABANDONED), wall_clock_ms())
    assert not await is_muted(reader, make_alert(1), wall_clock_ms())
    await take_back(client, f"{ALERT}/snooze")
    assert not await is_muted(reader, later, wall_clock_ms())
    await redis.aclose()


async def test_verdicts_count_once_and_move_when_they_change(client: httpx.AsyncClient) -> None:
    said = await say(client, "/v1/alerts/id1/feedback", verdict="useful", note="bought after a call")
    assert said["feedback"]["verdict"] == "useful"
    assert said["feedback"]["note"] == "bought after a call"
    assert await figures(client) == {"useful": 1, "wrong": 0, "judged_precision": 1}
    await say(client, "/v1/alerts/id1/feedback", verdict="useful")
    await say(client, f"{ALERT}/feedback", verdict="wrong")
    assert await figures(client) == {"useful": 1, "wrong": 1, "judged_precision": 0.5}
    said = await say(client, "/v1/alerts/id1/feedback", verdict="wrong")
    assert said["feedback"]["note"] is None
    assert await figures(client) == {"useful": 0, "wrong": 2, "judged_precision": 0}
    assert (await take_back(client, "/v1/alerts/id1/feedback"))["feedback"] is None
    await take_back(client, "/v1/alerts/id1/feedback")
    assert await figures(client) == {"useful": 0, "wrong": 1, "judged_precision": 0}


async def test_a_verdict_given_many_times_at_once_counts_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *[
            client.post(f"{ALERT}/feedback", json={"verdict": verdict})
            for verdict in ("useful", "wrong", "useful", "useful", "wrong", "wrong") * 5
        ]
    )
    assert {answer.status_code for answer in answers} == {200}
    counted = await figures(client)
    assert counted["useful"] + counted["wrong"] == 1
    kept = (await client.get(ALERT)).json()["handling"]["feedback"]["verdict"]
    assert counted[kept] == 1


async def test_a_verdict_on_an_alert_without_a_model_counts_without_one(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts([make_alert(5, model=None, purchase=None)])
    state.flush()
    await say(client, "/v1/alerts/id5/feedback", verdict="useful")
    assert (await figures(client, None))["useful"] == 1


async def test_a_verdict_of_a_bucket_that_is_gone_brings_it_not_back(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    await say(client, f"{ALERT}/feedback", verdict="useful")
    with Redis.from_url(state.settings.redis_url) as redis:
        buckets = list(redis.scan_iter(match=f"{state.settings.namespace}:{{alerts}}:q:*"))
        assert len(buckets) == 3
        assert all(redis.ttl(bucket) > 0 for bucket in buckets)
        redis.delete(*buckets)
        await take_back(client, f"{ALERT}/feedback")
        assert redis.exists(*buckets) == 0


async def test_what_was_said_expires_and_nothing_is_kept_of_nothing(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    key = state.keys.alert_handling("id0")
    with Redis.from_url(state.settings.redis_url) as redis:
        await say(client, f"{ALERT}/acknowledge")
        assert HANDLING_TTL_S - 60 < redis.ttl(key) <= HANDLING_TTL_S
        await take_back(client, f"{ALERT}/acknowledge")
        assert not redis.exists(key)
        await take_back(client, f"{ALERT}/snooze")
        assert not redis.exists(key)


@pytest.mark.parametrize("path", ["acknowledge", "snooze", "feedback"])
async def test_an_unknown_alert_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    bodies = {"acknowledge": None, "snooze": {"for_s": 60}, "feedback": {"verdict": "wrong"}}
    for answer in (
        await client.post(f"/v1/alerts/secret-name/{path}", json=bodies[path]),
        await client.delete(f"/v1/alerts/secret-name/{path}"),
        await client.get("/v1/alerts/secret-name"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "alert.unknown")
        assert "secret-name" not in answer.text


async def test_an_alert_the_log_no_longer_has_is_not_found(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.trim_alerts(1)
    state.flush()
    assert (await client.get(ALERT)).status_code == 404
    assert (await client.post(f"{ALERT}/acknowledge")).status_code == 404
    life = (await client.get("/v1/alerts/id1")).json()
    assert ([step["state"] for step in life["steps"]], life["state"]) == (["expired"], "expired")


async def test_an_alert_that_ended_takes_feedback_only(client: httpx.AsyncClient) -> None:
    for path, body in (("acknowledge", None), ("snooze", {"for_s": 60})):
        answer = await client.post(f"/v1/alerts/id1/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "alert.ended")
    assert (await client.get("/v1/alerts/id1")).json()["handling"]["state"] == "open"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("snooze", "{", 400, "body.not_json"),
        ("snooze", "", 422, "body.missing"),
        ("snooze", "[]", 422, "body.not_object"),
        ("snooze", "{}", 422, "snooze.not_one_end"),
        ("snooze", '{"for_s": null}', 422, "for_s.not_integer"),
        ("snooze", '{"for_s": 60, "until": "2030-01-01T00:00:00Z"}', 422, "snooze.not_one_end"),
        ("snooze", '{"for_s": 59}', 422, "for_s.too_small"),
        ("snooze", '{"for_s": 604801}', 422, "for_s.too_large"),
        ("snooze", '{"for_s": true}', 422, "for_s.not_integer"),
        ("snooze", '{"for_s": "60"}', 422, "for_s.not_integer"),
        ("snooze", '{"for_s": NaN}', 422, "for_s.not_integer"),
        ("snooze", '{"until": "secret-name"}', 422, "until.not_time"),
        ("snooze", '{"until": "2030-01-01T00:00:00"}', 422, "until.naive"),
        ("snooze", '{"until": "2020-01-01T00:00:00Z"}', 422, "until.too_early"),
        ("snooze", '{"until": "2099-01-01T00:00:00Z"}', 422, "until.too_late"),
        ("snooze", '{"until": "9999-01-01T00:00:00Z"}', 422, "until.out_of_range"),
        ("snooze", '{"for_s": 60, "secret-name": 1}', 422, "body.unknown_field"),
        ("feedback", "{}", 422, "verdict.missing"),
        ("feedback", '{"verdict": "secret-name"}', 422, "verdict.not_allowed"),
        ("feedback", '{"verdict": "useful", "note": 5}', 422, "note.not_text"),
        ("feedback", '{"verdict": "useful", "note": "\\ud800"}', 422, "note.not_text"),
        ("feedback", '{"verdict": "useful", "note": "%s"}' % ("x" * 501), 422, "note.too_long"),
    ],
)
async def test_a_bad_body_is_named(
    client: httpx.AsyncClient, path: str, body: str, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"{ALERT}/{path}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert "secret-name" not in answer.text
    assert (await client.get(ALERT)).json()["handling"] == {
        "state": "open",
        "by": None,
        "at": None,
        "until": None,
        "feedback": None,
    }


async def test_markup_in_a_note_comes_back_as_it_was(client: httpx.AsyncClient) -> None:
    note = '<script>alert(1)</script> {{7*7}} ${jndi:x} "\\ \u0000 é'
    said = await say(client, f"{ALERT}/feedback", verdict="wrong", note=note)
    assert said["feedback"]["note"] == note
    assert (await client.get(ALERT)).json()["handling"]["feedback"]["note"] == note


@pytest.mark.parametrize("path", ["acknowledge", "snooze", "feedback"])
async def test_other_methods_are_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.put(f"{ALERT}/{path}", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method.not_allowed")
    assert "POST" in answer.headers["allow"] or "DELETE" in answer.headers["allow"]
