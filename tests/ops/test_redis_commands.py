"""A whole installation at work: every key has an owner, and no command needs two slots of a Redis Cluster."""

import asyncio
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.clock import wall_clock_ms
from contracts.key_families import families
from contracts.keys import Keys
from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import Load, Traffic
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from receivers import open_receiver, say
from redis_monitor import RedisMonitor, Sent, keys_of, over_several_slots
from services import uninstall, unique_settings
from stub_model import write_model

GONE = "visitor-who-leaves"
TYPES = {"Hash": "hash", "String": "string", "Integer": "string", "Sorted set": "zset", "Stream": "stream"}
"""First words of what `Keys` says of a key, to what Redis says of it."""


@pytest.fixture
def system(kafka_bootstrap: str, tmp_path: Path) -> Iterator[SystemUnderTest]:
    """A worker, an API and a deliverer of webhooks on a Redis of their own."""
    write_model(tmp_path / "model")
    settings = unique_settings(
        kafka_bootstrap, "redis://set.by.system/0",
        **{**SETTINGS, "model_dir": str(tmp_path / "model"), "api_port": pick_port(),
           "webhook_allow_private": True, "deletion_secret": ""},
    )  # fmt: skip
    with open_system(settings, tmp_path, workers=0) as made:
        children = [
            Child(name, [sys.executable, "-P", "-m", "ops.cli", name], tmp_path / f"{name}.log",
                  env=settings_environment(made.settings))
            for name in ("api", "deliver")
        ]  # fmt: skip
        try:
            for child in children:
                child.start()
            yield made
        finally:
            for child in children:
                child.kill()
            uninstall(made.settings)


async def test_every_key_has_an_owner_and_every_command_one_slot(system: SystemUnderTest) -> None:
    traffic = Traffic(system.settings, Load(200.0), seed=1)
    async with open_receiver(say(200)) as target, Client(system) as api:
        with RedisMonitor(system.client) as monitor:
            system.supervisor.add()
            traffic.start()
            try:
                await asyncio.to_thread(system.await_commits, 0)
                await _use(api, target.url)
                await target.wait_for(1, 60)
                await asyncio.to_thread(system.supervisor.workers[0].kill)  # its next start claims again
                await asyncio.to_thread(system.await_commits, wall_clock_ms())
                await _delete(api)
            finally:
                await asyncio.to_thread(traffic.finish)
    commands = monitor.commands()
    assert len(commands) > 2_000
    names = {sent.name for sent in commands}
    assert names >= {"EVALSHA", "MULTI", "MGET", "XRANGE", "ZADD"}, names
    assert sorted(set(over_several_slots(commands, keys_of(system.client, commands)))) == []
    assert list(_unowned(system)) == []


class Client:
    """The API of a system."""

    def __init__(self, system: SystemUnderTest) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{system.settings.api_port}", timeout=20)

    async def __aenter__(self) -> "Client":
        for _ in range(600):
            try:
                if (await self._http.get("/livez")).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
        raise AssertionError("the API is not ready")

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer, which may be that there is nothing, but no mistake of the server."""
        answer = await self._http.request(method, path, json=body, params=query)
        assert answer.status_code < 500, (method, path, answer.text)
        assert answer.status_code not in (400, 405), (method, path, answer.text)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


async def _use(api: Client, target: str) -> None:
    """Ask for everything that can be asked for."""
    event = {"event_type": "cart", "product_id": "p1", "user_id": GONE, "price": "9.99", "currency": "EUR"}
    await api.ask("POST", "/v1/events", [{**event, "event_id": f"g{number}"} for number in range(3)])
    webhook = await api.ask("POST", "/v1/webhooks", {"url": target})
    await api.ask("POST", f"/v1/webhooks/{webhook['id']}/test")
    for _ in range(100):
        alerts = (await api.ask("GET", "/v1/alerts", limit=5))["alerts"]
        if alerts:
            break
        await asyncio.sleep(0.2)
    alert = alerts[0]
    path = f"/v1/alerts/{alert['alert_id']}"
    await api.ask("POST", f"{path}/acknowledge")
    await api.ask("POST", f"{path}/snooze", {"for_s": 60})
    await api.ask("POST", f"{path}/feedback", {"verdict": "useful"})
    await api.ask("POST", "/v1/stream-tickets")
    known = {"user_id": alert["user_id"], "alert_id": alert["alert_id"], "product_id": "p1",
             "webhook_id": webhook["id"], "deletion_id": "d", "delivery_id": "d",
             "customer_id": "c"}  # fmt: skip
    paths = (await api.ask("GET", "/openapi.json"))["paths"]
    asked = [
        p for p, operations in paths.items() if "get" in operations and "stream" not in p and "tail" not in p
    ]
    assert len(asked) > 12, asked
    for path in asked:
        await api.ask("GET", path.format(**known))


async def _delete(api: Client) -> None:
    deletion = await api.ask("POST", "/v1/privacy/deletions", {"user_id": GONE})
    for _ in range(300):
        found = await api.ask("GET", f"/v1/privacy/deletions/{deletion['deletion_id']}")
        if found["status"] == "done":
            return
        await asyncio.sleep(0.1)
    raise AssertionError(found)


def _unowned(system: SystemUnderTest) -> Iterator[str]:
    """Keys that are of no family and no method of `Keys`, or of several, or of another type."""
    keys, client = system.keys, system.client
    prefixes = {keys.prefix(p) for p in range(keys.partitions)}
    owners = list(_installation_keys(keys))
    for raw in client.scan_iter(match=f"{keys.namespace}:*", count=1_000):
        kind: Any = client.type(raw)
        key, holds = raw.decode(), kind.decode()
        if holds == "none":
            continue  # it expired after it was found
        prefix = next((prefix for prefix in prefixes if key.startswith(prefix)), None)
        if prefix is None:
            types = [kind for form, kind in owners if form.fullmatch(key)]
        else:
            rest = key.removeprefix(prefix)
            types = [
                family.holds
                for family in families()
                if rest == family.start or (not family.is_one_key and rest.startswith(family.start))
            ]
        if types != [holds]:
            yield f"{key} holds a {holds}, its owners say {types}"


def _installation_keys(keys: Keys) -> Iterator[tuple[re.Pattern[str], str]]:
    """The form of each key of no partition, and its type, from the methods that name it."""
    for name, method in inspect.getmembers(keys, inspect.ismethod):
        text = inspect.getdoc(method) or ""
        kind = next((kind for word, kind in TYPES.items() if text.startswith(f"{word}:")), None)
        if kind is None or name.startswith("_"):
            continue
        marked: Any = [f"<{number}>" for number, _ in enumerate(inspect.signature(method).parameters)]
        yield re.compile(re.sub(r"<\d+>", ".+", re.escape(method(*marked)))), kind


def test_what_a_cluster_would_refuse_is_found() -> None:
    def sent(client: str, *words: bytes) -> Sent:
        return Sent(client, words)

    commands = [
        sent("1", b"MGET", b"{a}1", b"{a}2"), sent("1", b"MGET", b"{a}1", b"{b}1"),
        sent("1", b"MULTI"), sent("2", b"GET", b"{b}1"), sent("1", b"GET", b"{a}1"), sent("1", b"EXEC"),
        sent("1", b"MULTI"), sent("1", b"GET", b"{a}1"), sent("1", b"GET", b"{b}1"), sent("1", b"EXEC"),
        sent("1", b"EVALSHA", b"x", b"1", b"{a}1"), sent("lua", b"GET", b"{a}2"),
        sent("lua", b"GET", b"{b}2"),
    ]  # fmt: skip
    keys = [[word for word in one.words if b"{" in word] for one in commands]
    assert list(over_several_slots(commands, keys)) == [
        "MGET {a}1 {b}1", "MULTI GET {a}1; GET {b}1", "EVALSHA x 1 {a}1 calls GET {b}2",
    ]  # fmt: skip
