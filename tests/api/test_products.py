"""`/v1/products` over real Kafka, Redis and a worker: told, read, listed and removed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from api.app import create_app
from api.identity.principal import Scope
from api.services import services_of
from api_keys import AS_ROOT, ROOT_KEY, bearer, make_page_key, make_secret_key
from contracts.settings import Settings
from event_api import NDJSON, WORDS, check_problem, client_of, codes_of, lines_of, open_client
from ops.stack.child import Child
from readers.catalogue import read_changes
from running_worker import running_worker

PATH = "/v1/products"
MUG = {
    "product_id": "mug",
    "title": "Mug",
    "price": "9.50",
    "currency": "EUR",
    "promotion": {"price": 8, "to": "2026-01-01T00:00:00Z"},
    "categories": ["Kitchen", "Gifts"],
    "stock": 3,
}


@pytest.fixture
def installed(make_installation: Callable[..., Settings]) -> Settings:
    return make_installation(partitions=3, scoring=False)


@pytest.fixture
def worker(installed: Settings, tmp_path: Path) -> Iterator[Child]:
    with running_worker(installed, tmp_path) as child:
        yield child


async def until(ask: Callable[[], Any], wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """The first answer of this kind."""
    async with asyncio.timeout(60):
        while not wanted(answer := await ask()):
            await asyncio.sleep(0.05)
    found: httpx.Response = answer
    return found


async def test_what_is_told_is_read_listed_and_removed(installed: Settings, worker: Child) -> None:
    del worker
    app = create_app(installed)
    async with app.router.lifespan_context(app), client_of(app) as client:
        told = await client.post(
            PATH, json=[MUG, {"product_id": "a/b", "categories": ["Gifts"], "active": False}, {"stock": 1}]
        )
        assert (told.status_code, told.json()["accepted"]) == (202, 2)
        assert codes_of(told) == [(2, "product_id.missing")]
        mug = (await until(lambda: client.get(f"{PATH}/mug"), lambda each: each.status_code == 200)).json()
        assert mug["price"] == {"currency": "EUR", "amount_minor": 950, "amount": "9.50"}
        assert mug["promotion"]["price"]["amount"] == "8.00"
        assert (mug["promotion"]["from"], mug["promotion"]["to"]) == (None, "2026-01-01T00:00:00Z")
        assert (mug["brand"], mug["active"], mug["stock"]) == (None, None, 3)

        both = await until(lambda: client.get(PATH), lambda each: len(each.json()["products"]) == 2)
        assert [each["product_id"] for each in both.json()["products"]] == ["a/b", "mug"]
        assert both.json()["products"][1] == mug
        page = (await client.get(PATH, params={"limit": 1})).json()
        assert page["next_after"] == "a/b"
        rest = (await client.get(PATH, params={"limit": 1, "after": page["next_after"]})).json()
        assert ([each["product_id"] for each in rest["products"]], rest["next_after"]) == (["mug"], None)
        kitchen = (await client.get(PATH, params={"category": "Kitchen"})).json()
        assert [each["product_id"] for each in kitchen["products"]] == ["mug"]
        assert (await client.get(PATH, params={"category": "Unknown"})).json()["products"] == []
        assert (await client.get(f"{PATH}/a%2Fb")).json()["active"] is False

        reader = services_of(app).reader
        seen = await read_changes(reader, [0] * 3)
        assert seen.changed == {"mug", "a/b"}
        assert not seen.removed
        assert (await client.post(PATH, json={"product_id": "mug", "stock": None})).status_code == 202
        removed = await client.delete(f"{PATH}/a%2Fb")
        assert (removed.status_code, removed.json()) == (202, {"product_id": "a/b"})
        await until(lambda: client.get(f"{PATH}/a%2Fb"), lambda each: each.status_code == 404)
        await until(lambda: client.get(f"{PATH}/mug"), lambda each: each.json()["stock"] is None)
        changes = await read_changes(reader, [at_ms + 1 for at_ms in seen.reached_ms])
        assert changes.changed == {"mug"}
        assert changes.removed == {"a/b"}


async def test_each_product_is_judged_alone_in_whatever_form_they_come(installed: Settings) -> None:
    async with open_client(installed) as client:
        lines = lines_of(
            MUG, b'{"product_id": "x", "stock": 1, "stock": 2}', b"{", {"product_id": "y", "titel": WORDS}
        )
        told = await client.post(f"{PATH}?validate=1", content=lines, headers=NDJSON)
        assert (told.status_code, told.json()["accepted"], told.json()["dry_run"]) == (200, 1, True)
        assert codes_of(told) == [
            (1, "product.repeated_field"), (2, "product.not_json"), (3, "product.unknown_field"),
        ]  # fmt: skip
        assert told.json()["errors"][2]["product_id"] == "y"
        assert WORDS not in told.text
        array = b'[{"product_id": "x", "stock": 1, "stock": 2}, {"product_id": "y", "price": NaN}]'
        problem = check_problem(
            await client.post(PATH, content=array, headers={"content-type": "application/json"}),
            400,
            "products.rejected",
        )
        assert [each["code"] for each in problem["errors"]] == ["product.repeated_field", "price.not_finite"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {"content-type": "application/json"}, 400, "body.empty"),
        (b"[]", {"content-type": "application/json"}, 400, "body.no_products"),
        (b"5", {"content-type": "application/json"}, 400, "body.not_products"),
        (b"{", {"content-type": "application/json"}, 400, "body.not_json"),
        (orjson.dumps([MUG] * 1_001), {"content-type": "application/json"}, 400, "body.too_many_products"),
        (b" " * (2**20 + 1), {"content-type": "application/json"}, 413, "body.too_large"),
        (b"{}", {"content-type": "text/csv"}, 415, "content_type.unsupported"),
        (
            b"{}",
            {"content-type": "application/json", "content-encoding": "br"},
            415,
            "content_encoding.unsupported",
        ),
    ],
)
async def test_a_body_that_holds_no_products(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    check_problem(await client.post(PATH, content=body, headers=headers), status, code)


async def test_without_kafka_nothing_is_taken(client: httpx.AsyncClient) -> None:
    check_problem(await client.post(PATH, json=MUG), 503, "kafka.unavailable")
    check_problem(await client.delete(f"{PATH}/mug"), 503, "kafka.unavailable")
    check_problem(await client.get(f"{PATH}/mug"), 404, "product.unknown")
    check_problem(await client.get(PATH, params={"after": " "}), 422, "after.blank")


@pytest.fixture
async def redis(settings: Settings) -> AsyncIterator[Redis]:
    opened = Redis.from_url(settings.redis_url)
    yield opened
    async for name in opened.scan_iter(match=f"{settings.namespace}:*"):
        await opened.unlink(name)
    await opened.aclose()


@pytest.mark.parametrize("settings", [{"root_key": ROOT_KEY}], indirect=True)
async def test_only_secret_keys_with_the_scope_write(
    client: httpx.AsyncClient, redis: Redis, settings: Settings
) -> None:
    reads = bearer(await make_secret_key(redis, settings, Scope.INSIGHTS_READ))
    writes = bearer(await make_secret_key(redis, settings, Scope.PRODUCTS_WRITE))
    page = bearer(await make_page_key(redis, settings))
    check = f"{PATH}?validate=1"
    for headers in (writes, AS_ROOT):
        assert (await client.post(check, json=MUG, headers=headers)).status_code == 200
    assert (await client.get(PATH, headers=reads)).status_code == 200
    check_problem(await client.post(check, json=MUG, headers=reads), 403, "key.scope")
    check_problem(await client.get(PATH, headers=writes), 403, "key.scope")
    check_problem(await client.delete(f"{PATH}/mug", headers=reads), 403, "key.scope")
    check_problem(await client.post(check, json=MUG), 401, "key.missing")
    for method in ("POST", "GET"):
        answer = await client.request(method, PATH, headers={**page, "origin": "https://shop.example"})
        assert answer.status_code == 403
