"""Alerts about products, of a kind from outside, wherever alerts about visitors are: on a real Redis."""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from redis import Redis

from alert_makers import make_alert
from api.resources.alerts.export import ALL_COLUMNS, COLUMNS
from api.resources.models.report import ModelsReport
from api.services import services_of
from connections.asyncio_redis import open_redis_pool
from contracts.alerts import AlertState, Severity, encode_alert
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.subjects import Subject, SubjectKind, visitor
from delivery.webhooks.endpoints import Filters
from delivery.webhooks.messages import MAX_BODY_BYTES, to_message
from delivery.webhooks.signing import make_secret
from ops.alerts.tail import render_alert
from ops.api_client.calls import to_contract
from ops.audit import RecordedAlerts
from ops.audit.alert_check import AlertAudit, _check_lifetimes, _compare_counts
from readers.alerts.handling import find_muted
from readers.alerts.log import AlertFilter
from readers.alerts.removal import scrub_alerts, scrub_mutes
from readers.alerts.rendering import to_alert
from readers.reader import Reader
from readers.removal import Trace
from receivers import open_receiver, say
from shop_state import ShopState
from stock_alerts import AT_MS, STOCK_LOW, make_stock_alert, registered
from webhook_site import Site

LOW = make_stock_alert(1)
PATH = f"/v1/alerts/{LOW.alert_id}"


@pytest.fixture(autouse=True)
def stock_low() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(autouse=True)
def published(stock_low: None, state: ShopState) -> None:  # noqa: ARG001  # the kind comes first
    """One alert about a visitor, two about products."""
    state.publish_alerts([make_alert(0), LOW, make_stock_alert(2, severity=Severity.LOW)])
    state.flush()


@pytest.fixture
async def reader(settings: Settings) -> AsyncIterator[Reader]:
    redis = open_redis_pool(settings)
    yield Reader(redis, settings)
    await redis.aclose()


async def listed(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"/v1/alerts?{query}")
    assert answer.status_code == HTTPStatus.OK, answer.text
    steps = answer.json()["alerts"]
    return [
        f"{step['kind']}:{step['subject']['id']}" if "subject" in step else step["kind"] for step in steps
    ]


async def test_it_is_listed_with_its_subject_and_its_detail(client: httpx.AsyncClient) -> None:
    page = (await client.get("/v1/alerts")).json()
    about_visitor, about_product, _ = page["alerts"]
    assert "subject" not in about_visitor
    assert about_product == {
        "record_id": LOW.record_id,
        "alert_id": LOW.alert_id,
        "kind": "stock_low",
        "state": "firing",
        "severity": "high",
        "subject": {"kind": "product", "id": "p1"},
        "customer_id": None,
        "episode": 1,
        "at": "2025-10-09T08:53:21Z",
        "fired_at": "2025-10-09T08:53:21Z",
        "live": True,
        "detail": {"stock": 3, "cover_days": 1.5},
        "threshold": 2.0,
        "model": None,
        "reasons": ["3 left, enough for 1.5 days"],
        "handling": {"state": "open", "by": None, "at": None, "until": None, "feedback": None},
    }
    assert to_contract(about_product) == LOW


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=stock_low", ["stock_low:p1", "stock_low:p2"]),
        ("kind=churn_risk", ["churn_risk"]),
        ("subject=product:p2", ["stock_low:p2"]),
        ("subject=visitor:u0", ["churn_risk"]),
        ("subject=site", []),
        ("kind=stock_low&min_severity=high", ["stock_low:p1"]),
        ("segment=new", []),
        ("min_value_minor=1", ["churn_risk"]),
        ("newest=true&limit=1&kind=stock_low", ["stock_low:p2"]),
    ],
)
async def test_filters_choose_it(client: httpx.AsyncClient, query: str, found: list[str]) -> None:
    assert await listed(client, query) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subject=p1", "subject.not_subject"),
        ("subject=", "subject.blank"),
        ("kind=stock_high", "kind.not_allowed"),
    ],
)
async def test_a_filter_for_nothing_is_refused(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"/v1/alerts?{query}")
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.json()["errors"][0]["field"] + "." + answer.json()["errors"][0]["rule"] == code


async def test_the_table_has_its_subject_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    plain = list(csv.reader(io.StringIO((await client.get("/v1/alerts.csv")).text)))
    assert tuple(plain[0]) == COLUMNS
    rows = list(csv.DictReader(io.StringIO((await client.get("/v1/alerts.csv?columns=all")).text)))
    assert tuple(rows[0]) == ALL_COLUMNS
    assert [(row["kind"], row["user_id"], row["subject"], row["detail"]) for row in rows] == [
        ("churn_risk", "u0", "visitor:u0", "59.90 EUR"),
        ("stock_low", "", "product:p1", "stock 3, cover_days 1.5"),
        ("stock_low", "", "product:p2", "stock 3, cover_days 1.5"),
    ]
    assert [row["cart_lines"] for row in rows] == ["2", "", ""]


async def test_it_is_handled_like_any_other(client: httpx.AsyncClient, app: FastAPI) -> None:
    for part, body in (
        ("acknowledge", None),
        ("snooze", {"for_s": 600}),
        ("feedback", {"verdict": "useful"}),
    ):
        assert (await client.post(f"{PATH}/{part}", json=body)).status_code == HTTPStatus.OK
    life = (await client.get(PATH)).json()
    assert life["handling"]["state"] == "snoozed"
    assert life["steps"][0]["subject"] == {"kind": "product", "id": "p1"}
    assert await listed(client, "handling=snoozed") == ["stock_low:p1"]
    services_of(app).get(ModelsReport)._kept = None
    model = next(one for one in (await client.get("/v1/models")).json()["models"] if one["version"] is None)
    figures = model["windows"]["24h"]["alerts"]["stock_low"]
    assert (figures["useful"], figures["precision"], figures["recall"]) == (1, None, None)


async def test_a_snooze_mutes_the_product_and_no_other(client: httpx.AsyncClient, reader: Reader) -> None:
    await client.post(f"{PATH}/snooze", json={"for_s": 600})
    ended = LOW._replace(state=AlertState.RESOLVED, at_ms=AT_MS + 5_000)
    namesake = make_alert(5, user_id="p1")
    muted = await find_muted(reader, [ended, make_stock_alert(2), namesake], wall_clock_ms())
    assert muted == [True, False, False]


async def test_its_steps_go_to_webhooks_that_want_the_kind(settings: Settings, state: ShopState) -> None:
    site, secret = Site(settings, state), make_secret()
    async with open_receiver(say(200)) as receiver:
        await site.add(receiver.url, Filters((STOCK_LOW.name,)), secret=secret)
        site.publish(1)
        (message_id,) = site.put([make_stock_alert(9)])
        async with site.delivering():
            (request,) = await receiver.wait_for(1)
        assert request.message_id == message_id
        assert request.verify(secret) == {
            "type": "alert.stock_low.firing",
            "timestamp": "2025-10-09T08:53:29Z",
            "data": orjson.loads(to_alert(make_stock_alert(9)).model_dump_json()),
        }
    await site.close()


async def test_an_endpoint_may_want_the_kind_and_only_kinds_there_are(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/webhooks", json={"url": "https://93.184.216.34/x", "kinds": ["stock_low"]})
    assert made.status_code == HTTPStatus.CREATED, made.text
    assert made.json()["kinds"] == ["stock_low"]
    three = ["stock_low", "churn_risk", "cart_abandoned"]
    made = await client.post("/v1/webhooks", json={"url": "https://93.184.216.34/x", "kinds": three})
    assert made.status_code == HTTPStatus.CREATED, made.text
    for kinds in (["stock_high"], [*three, "stock_low"]):
        refused = await client.post("/v1/webhooks", json={"url": "https://93.184.216.34/x", "kinds": kinds})
        assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_message_that_would_be_too_large_goes_without_what_is_long() -> None:
    alert = make_stock_alert(reasons=("x" * MAX_BODY_BYTES,))
    message = to_message(alert)
    assert message is not None
    assert orjson.loads(message.body)["data"]["detail"] == {"stock": 3, "cover_days": 1.5}
    unknown = to_message(make_stock_alert(kind="not_known", detail={"words": "x" * MAX_BODY_BYTES}))
    assert unknown is not None
    assert orjson.loads(unknown.body)["data"]["detail"] == {}


async def test_deleting_a_person_removes_alerts_about_the_customer_and_none_about_products(
    reader: Reader, state: ShopState, settings: Settings
) -> None:
    customer = Subject(SubjectKind.CUSTOMER, "p1")
    told = make_stock_alert(7, kind="not_known", subject=customer, detail={})
    state.publish_alerts([told])
    state.flush()
    with Redis.from_url(settings.redis_url) as redis:
        mutes = {"stock_low:customer:p1": 9e15, "stock_low:product:p1": 9e15}
        redis.zadd(state.keys.alert_mutes(), mutes)
        trace = Trace("p1", "", 0, 0, returned=False)
        assert (await scrub_alerts(reader, trace))["alert_steps"] == 1
        assert await scrub_mutes(reader, trace) == {"snoozes": 1}
        left: Any = redis.xrange(state.keys.alerts())
    assert len(left) == 3
    assert to_message(told).user_id == "p1"  # type: ignore[union-attr]
    assert to_message(LOW).user_id == ""  # type: ignore[union-attr]


def test_the_tail_says_what_it_is_about() -> None:
    assert render_alert(LOW).plain == (
        "2025-10-09 08:53:21Z  stock_low       high    product:p1  stock 3, cover_days 1.5  "
        "3 left, enough for 1.5 days"
    )
    ended = LOW._replace(state=AlertState.RESOLVED, at_ms=LOW.at_ms + 60_000, reasons=())
    assert render_alert(ended).plain.endswith("restocked 60 s later")
    with_user = render_alert(LOW._replace(kind="not_known", subject=visitor("u1"), detail={"n": 1})).plain
    assert "u1  n 1  " in with_user


def test_the_audit_takes_it_neither_for_invented_nor_for_lost() -> None:
    audit, log = AlertAudit(), {LOW.record_id: LOW}
    found = RecordedAlerts(log=[(LOW.record_id, encode_alert(LOW))])
    found.counted["stock_low", AlertState.FIRING] = 1
    _compare_counts(audit, found, log)
    _check_lifetimes(audit, log, set())
    assert (audit.lost, audit.doubled, audit.differences) == (0, 0, [])


def test_a_filter_takes_a_subject() -> None:
    assert AlertFilter(subject=LOW.subject).takes(LOW)
    assert not AlertFilter(subject=visitor("p1")).takes(LOW)
