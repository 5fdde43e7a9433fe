"""Visitors who object to being followed: pseudonyms, or nothing at all."""

import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from api.resources.events.privacy_signals import Objection, anonymise, denies_consent, objects_by_header
from api.resources.events.salts import LIFETIME_S, Salts
from api.resources.events.validation import ValidationContext, validate
from connections.asyncio_redis import open_redis_pool
from contracts.events import EventType
from contracts.keys import Keys
from contracts.settings import Settings
from event_api import CART, DRY, PATH, WORDS, client_of, decode_record, open_client, read_records
from services import unique_settings

SALT, OTHER_SALT = b"a" * 32, b"b" * 32
NOW_MS = 1_760_000_000_000
FULL: dict[str, Any] = {
    **CART,
    "event_id": "e1",
    "session_id": "s1",
    "order_id": "o1",
    "category": "shoes",
    "email": WORDS,
    "context": {"ip": "203.0.113.77", "consent": "denied"},
}


@pytest.mark.parametrize(
    ("headers", "objects"),
    [
        ({b"sec-gpc": b"1"}, True),
        ({b"dnt": b"1"}, True),
        ({b"sp-anonymous": b"*"}, True),
        ({b"sec-gpc": b"0", b"dnt": b"0"}, False),
        ({b"dnt": b"unspecified"}, False),
        ({}, False),
    ],
)
def test_browsers_object_by_header(headers: dict[bytes, bytes], objects: bool) -> None:
    assert objects_by_header(headers) is objects


@pytest.mark.parametrize(
    ("fields", "denies"),
    [
        ({"consent": "denied"}, True),
        ({"consent": "Denied"}, True),
        ({"consent": False}, True),
        ({"context": {"consent": "denied"}}, True),
        ({"consent": "granted"}, False),
        ({"consent": True}, False),
        ({"consent": 0}, False),
        ({"consent": None, "context": "denied"}, False),
        ({}, False),
    ],
)
def test_events_deny_consent_by_a_member(fields: dict[str, Any], denies: bool) -> None:
    assert denies_consent(fields) is denies


def test_pseudonyms_hold_together_and_lead_nowhere() -> None:
    one, again, other = (
        anonymise(FULL, SALT),
        anonymise({**FULL, "user_id": "you"}, SALT),
        anonymise(FULL, OTHER_SALT),
    )
    assert one == again
    assert one["user_id"] != other["user_id"]
    assert len({one["user_id"], one["session_id"], one["order_id"]}) == 3
    assert not {"you", "s1", "o1"} & set(map(str, one.values()))
    assert set(one) == set(FULL) - {"email", "context"}
    assert (
        anonymise({**FULL, "user_id": 17}, SALT)["user_id"]
        == anonymise({**FULL, "user_id": "17"}, SALT)["user_id"]
    )


def test_what_breaks_a_rule_is_refused_for_it_all_the_same() -> None:
    events = [{**FULL, "user_id": " "}, {**FULL, "user_id": None}, {**FULL, "price": -1}, FULL]
    validated = validate(events, ValidationContext(NOW_MS, "EUR", objection=Objection("anonymise", SALT)))
    assert [r.code for r in validated.refusals] == ["user_id.blank", "user_id.missing", "price.negative"]
    [record] = validated.records
    assert (record.is_anonymous, record.event.extra, record.event.event_id) == (True, None, "e1")
    assert WORDS.encode() not in record.value


def test_items_keep_what_the_contract_knows() -> None:
    order = {
        "event_type": "purchase",
        "user_id": "you",
        "order_id": "o1",
        "total": "3.00",
        "note": WORDS,
        "items": [{"sku": "p1", "price": "1", "engraving": WORDS}, {"product_id": "p2", "price": "2"}],
    }
    validated = validate(
        [order], ValidationContext(NOW_MS, "EUR", objection=Objection("anonymise", SALT, is_general=True))
    )
    assert (validated.accepted, len(validated.records)) == (1, 2)
    assert all(record.is_anonymous and WORDS.encode() not in record.value for record in validated.records)
    assert sum((r.event.price_minor or 0) * r.event.quantity for r in validated.records) == 300
    assert b'"you"' not in validated.records[0].value


def test_dropped_events_are_not_even_judged() -> None:
    events = [FULL, {**FULL, "price": -1}, CART]
    validated = validate(events, ValidationContext(NOW_MS, "EUR", objection=Objection("drop")))
    assert (validated.dropped, validated.accepted, validated.refusals) == (2, 1, [])
    everything = validate(
        events, ValidationContext(NOW_MS, "EUR", objection=Objection("drop", is_general=True))
    )
    assert (everything.dropped, everything.records) == (3, [])


async def test_what_kafka_has_of_an_objecting_visitor_names_nobody(installation: Settings) -> None:
    async with open_client(installation, "203.0.113.77") as client:
        batch = {"batch": [{**FULL, "event_id": "e1"}, {**CART, "event_id": "e2"}]}
        assert (await client.post(PATH, json=batch)).json()["accepted"] == 2
        third = {**CART, "event_id": "e3", "ip": "203.0.113.77"}
        assert (await client.post(PATH, json=third, headers={"Sec-GPC": "1"})).status_code == 202
        fourth = {"batch": [{**CART, "event_id": "e4"}], "consent": "denied"}
        assert (await client.post(PATH, json=fourth)).status_code == 202
    records = {decode_record(r).event_id: r for r in await read_records(installation, EventType.CART, 4)}
    told = {event_id: dict(record.headers) for event_id, record in records.items()}
    users = {event_id: decode_record(record).user_id for event_id, record in records.items()}
    assert users["e2"] == "you"
    assert users["e1"] == users["e3"] == users["e4"] != "you"
    assert {event_id for event_id, headers in told.items() if "client_network" in headers} == {"e2"}
    assert b"203.0.113" not in b"".join(records[e].value for e in ("e1", "e3", "e4"))


@pytest.mark.parametrize("settings", [{"privacy_signal_mode": "drop"}], indirect=True)
async def test_dropping_needs_no_kafka(client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, json=[CART, CART], headers={"DNT": "1"})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["dropped"]) == (202, 0, 2)
    assert (await client.post(DRY, json=FULL)).json()["dropped"] == 1
    assert 'storepulse_api_events_total{code="",result="dropped"} 2.0' in (await client.get("/metrics")).text


@pytest.mark.parametrize("settings", [{"privacy_signal_mode": "ignore"}], indirect=True)
async def test_a_shop_may_ignore_objections(app: FastAPI) -> None:
    async with client_of(app) as client:
        answer = await client.post(DRY, json=FULL, headers={"DNT": "1"})
    assert (answer.json()["accepted"], answer.json()["dropped"]) == (1, 0)


@pytest.fixture
async def redis(settings: Settings) -> Any:
    async with open_redis_pool(settings) as redis:
        yield redis


async def test_processes_share_a_salt_for_a_day(redis: Redis, settings: Settings) -> None:
    keys = Keys(settings.namespace, settings.partitions)
    one, other = Salts(redis, keys), Salts(redis, keys)
    salt = await one.get()
    assert len(salt) == 32
    assert await other.get() == salt == await one.get()
    assert LIFETIME_S - 60 < await redis.ttl(keys.pseudonym_salt()) <= LIFETIME_S
    await redis.delete(keys.pseudonym_salt())
    one._expires_s = time.monotonic()
    assert await one.get() != salt


async def test_without_redis_the_salt_is_of_this_process(settings: Settings) -> None:
    away = unique_settings(settings.bootstrap, "redis://127.0.0.1:1/0")
    async with open_redis_pool(away) as redis:
        keys = Keys(away.namespace, away.partitions)
        one, other = Salts(redis, keys), Salts(redis, keys)
        salt = await one.get()
        one._expires_s = 0.0
        assert await one.get() == salt
        assert await other.get() != salt
