"""API keys: their text, what is stored of them, and how they are made, rotated and revoked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from api.identity.key_record import decode_record, encode_record, takes_secret, to_principal
from api.identity.key_store import KeyPlan, KeyStore, UnknownKey
from api.identity.key_text import KeyKind, digest, holds_key, make_key, parse_key
from api.identity.origins import OriginList, is_local_host, is_loopback, normalise_origin
from api.identity.principal import Limits, Scope
from api_keys import SHOP
from contracts.keys import Keys
from contracts.settings import Settings

NOW_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
SERVER = KeyPlan("a server", scopes=(Scope.INSIGHTS_READ,))


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    client = Redis.from_url(settings.redis_url)
    yield client
    async for name in client.scan_iter(match=f"{settings.namespace}:*"):
        await client.unlink(name)
    await client.aclose()


@pytest.fixture
def store(redis: Redis, settings: Settings) -> KeyStore:
    return KeyStore(redis, Keys(settings.namespace, settings.partitions))


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        (KeyKind.PUBLISHABLE, "pk_live_"),
        (KeyKind.APP, "ak_live_"),
        (KeyKind.WRITE, "wk_live_"),
        (KeyKind.SECRET, "sk_live_"),
    ],
)
def test_a_key_is_read_back_from_its_text(kind: KeyKind, prefix: str) -> None:
    key = make_key(kind)
    assert parse_key(str(key)) == key
    assert str(key).startswith(prefix)
    assert key.secret not in repr(key)
    assert len(key.secret) * 5.954 > 256  # 62 signs are 5.954 bits each


@pytest.mark.parametrize("change", ["", "x", " ", "\n", "é"])
def test_only_a_whole_key_is_a_key(change: str) -> None:
    text = str(make_key(KeyKind.SECRET))
    assert parse_key(text[:-1] + change if change != "x" else text + "x") is None
    assert parse_key(text.replace("live", "test")) is None


def test_a_key_is_seen_in_a_url_however_it_is_encoded() -> None:
    text = str(make_key(KeyKind.SECRET))
    assert holds_key(f"a=1&key={text}")
    assert holds_key(f"key={text.replace('_', '%5F')}")
    assert holds_key(f"/v1/users/{text}")
    assert not holds_key("key=sk_live_abc&x=_live_")


async def test_nothing_stored_tells_the_secret(store: KeyStore, redis: Redis, settings: Settings) -> None:
    key, record = await store.create(SERVER, NOW_MS)
    again, _ = await store.rotate(key.key_id, NOW_MS, HOUR_MS)
    stored = b""
    async for name in redis.scan_iter(match=f"{settings.namespace}:*"):
        stored += await redis.dump(name) or b""
    table: Any = await redis.hgetall(Keys(settings.namespace, 4).api_keys())
    stored += b"".join(table.values())
    assert key.key_id.encode() in stored
    for secret in (key.secret, again.secret):
        assert secret.encode() not in stored
        assert digest(secret).encode() in stored
    assert key.secret not in repr(record)


async def test_a_rotated_key_takes_both_secrets_until_the_overlap_is_over(store: KeyStore) -> None:
    old, _ = await store.create(SERVER, NOW_MS)
    new, record = await store.rotate(old.key_id, NOW_MS, HOUR_MS)
    assert old.secret != new.secret
    in_overlap, after = NOW_MS + HOUR_MS - 1, NOW_MS + HOUR_MS
    assert [takes_secret(record, key.secret, in_overlap) for key in (old, new)] == [True, True]
    assert [takes_secret(record, key.secret, after) for key in (old, new)] == [False, True]


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(store: KeyStore) -> None:
    old, _ = await store.create(SERVER, NOW_MS)
    new, record = await store.rotate(old.key_id, NOW_MS, 0)
    assert [takes_secret(record, key.secret, NOW_MS) for key in (old, new)] == [False, True]


async def test_a_second_rotation_ends_the_oldest_secret(store: KeyStore) -> None:
    oldest, _ = await store.create(SERVER, NOW_MS)
    middle, _ = await store.rotate(oldest.key_id, NOW_MS, HOUR_MS)
    _, record = await store.rotate(oldest.key_id, NOW_MS, HOUR_MS)
    assert [takes_secret(record, key.secret, NOW_MS) for key in (oldest, middle)] == [False, True]


async def test_a_revoked_key_stays_revoked_and_listed(store: KeyStore) -> None:
    key, _ = await store.create(SERVER, NOW_MS)
    await store.revoke(key.key_id, NOW_MS + 1)
    record = await store.revoke(key.key_id, NOW_MS + 2)
    assert (record.state(NOW_MS), record.revoked_ms) == ("revoked", NOW_MS + 1)
    with pytest.raises(ValueError, match="revoked"):
        await store.rotate(key.key_id, NOW_MS, 0)
    assert (await store.load())[key.key_id] == record


async def test_every_change_raises_the_version(store: KeyStore) -> None:
    versions = [await store.version()]
    key, _ = await store.create(SERVER, NOW_MS)
    versions.append(await store.version())
    await store.rotate(key.key_id, NOW_MS, 0)
    versions.append(await store.version())
    await store.revoke(key.key_id, NOW_MS)
    versions.append(await store.version())
    assert versions == [0, 1, 2, 3]


async def test_changes_at_the_same_instant_are_all_kept(store: KeyStore) -> None:
    key, _ = await store.create(SERVER, NOW_MS)
    await asyncio.gather(*(store.rotate(key.key_id, NOW_MS, HOUR_MS) for _ in range(5)))
    assert await store.version() == 6


async def test_an_unknown_id_is_named(store: KeyStore) -> None:
    with pytest.raises(UnknownKey, match="nobody000000"):
        await store.revoke("nobody000000", NOW_MS)


def test_no_record_takes_any_secret() -> None:
    assert not takes_secret(None, "", NOW_MS)
    assert not takes_secret(None, "x", NOW_MS)


async def test_a_record_survives_its_encoding_and_unknown_fields(store: KeyStore) -> None:
    plan = replace(SERVER, expires_ms=NOW_MS + 5, requests_per_s=7, events_per_day=0)
    _, record = await store.create(plan, NOW_MS)
    assert decode_record(encode_record(record)) == record
    later = encode_record(record).replace(b"{", b'{"of_a_later_version":1,', 1)
    assert decode_record(later.replace(b'"insights:read"', b'"insights:read","scope:of_later"')) == record
    assert [record.state(NOW_MS + ms) for ms in (4, 5)] == ["active", "expired"]
    limits = to_principal(record, Limits(1, 2, 3)).limits
    assert limits == Limits(7, 2, 0)


async def test_a_key_of_an_app_has_a_quarter_of_what_others_have(store: KeyStore) -> None:
    plan = KeyPlan("an app", kind=KeyKind.APP, events_per_day=9)
    _, record = await store.create(plan, NOW_MS)
    assert to_principal(record, Limits(200, 2, 100)).limits == Limits(50, 1, 9)
    assert to_principal(record, Limits(0, 0, 0)).limits == Limits(0, 0, 9)


async def test_a_record_of_before_there_were_kinds_has_the_one_it_had(store: KeyStore) -> None:
    _, secret = await store.create(SERVER, NOW_MS)
    _, page = await store.create(KeyPlan("p", kind=KeyKind.PUBLISHABLE, origins=(SHOP,)), NOW_MS)
    for record in (secret, page):
        before = orjson.loads(encode_record(record))
        del before["kind"]
        assert decode_record(orjson.dumps(before)) == record


async def test_without_any_key_left_nobody_is_asked_for_one(store: KeyStore) -> None:
    key, _ = await store.create(SERVER, NOW_MS)
    await store.note_use(key.key_id, NOW_MS)
    version = await store.version()
    assert await store.remove_all() == 1
    assert (await store.load(), await store.load_uses()) == ({}, {})
    assert await store.version() > version
    assert await store.remove_all() == 0


@pytest.mark.parametrize(
    ("plan", "match"),
    [
        (KeyPlan("x", scopes=()), "at least one scope"),
        (KeyPlan("", scopes=(Scope.ALERTS_READ,)), "name"),
        (KeyPlan("a\x1b[31m", scopes=(Scope.ALERTS_READ,)), "name"),
        (KeyPlan("x", origins=(SHOP,)), "only publishable"),
        (KeyPlan("x", kind=KeyKind.PUBLISHABLE), "origins"),
        (
            KeyPlan("x", kind=KeyKind.PUBLISHABLE, origins=(SHOP,), scopes=(Scope.VISITORS_READ,)),
            "events:write",
        ),
        (KeyPlan("x", kind=KeyKind.APP, scopes=(Scope.VISITORS_READ,)), "events:write"),
        (KeyPlan("x", kind=KeyKind.WRITE, scopes=(Scope.EVENTS_WRITE, Scope.ALERTS_READ)), "events:write"),
        (KeyPlan("x", kind=KeyKind.APP, origins=(SHOP,)), "only publishable"),
        (KeyPlan("x", kind=KeyKind.WRITE, origins=(SHOP,)), "only publishable"),
    ],
)
def test_a_key_that_could_do_nothing_or_too_much_is_not_made(plan: KeyPlan, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        plan.check()


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Shop.Example", "https://shop.example"),
        ("https://shop.example:443/", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(text: str, origin: str) -> None:
    assert normalise_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    ["", "*", "null", "shop.example", "http://shop.example", "https://shop.example/page", "https://*.x"],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        normalise_origin(text)


def test_a_list_of_origins_takes_any_port_of_this_machine_if_it_says_so() -> None:
    listed = OriginList(["https://Shop.example", " http://localhost:*", "http://[::1]:* ", ""])
    for origin in ("https://shop.example", "http://localhost", "http://LOCALHOST:3000", "http://[::1]:80"):
        assert origin in listed
    for origin in (
        "null",
        "",
        "https://localhost:3000",
        "http://127.0.0.1:3000",
        "http://localhost.evil.example:3000",
        "http://evil.example#http://localhost:3000",
        "http://user@localhost:3000",
        "http://localhost:3000/",
    ):
        assert origin not in listed
    for text in ("https://shop.example:*", "http://*:*", "http://*"):
        with pytest.raises(ValueError, match=r"origin|localhost"):
            OriginList([text])


def test_only_names_of_this_machine_are_local() -> None:
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"):
        assert is_local_host(host)
    for host in (
        "",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8000",
        "10.0.0.1",
        "::1",
    ):
        assert not is_local_host(host)
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_loopback(host) for host in ("192.168.0.1", "::", "10.0.0.1", "shop.example", "")] == [
        False
    ] * 5
