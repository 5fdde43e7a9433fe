"""`storepulse deliver` as processes: killed, doubled, told to stop; and the commands about webhooks."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.settings import Settings
from delivery.webhooks.deliveries import DeliveryStatus
from ops.api_client.health import answers
from ops.cli import app
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from receivers import Receiver, hang, open_receiver, say
from rule_model import GivenModel
from served_api import ServedApi
from services import unique_settings
from shop_state import ShopState
from webhook_site import Site, until


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Webhooks to this machine, with an API on a port of its own."""
    return unique_settings(
        "127.0.0.1:1", redis_url, partitions=4, webhook_allow_private=True, api_port=pick_port()
    )


@pytest.fixture
def state(settings: Settings) -> Iterator[ShopState]:
    state = ShopState(settings)
    yield state
    state.close()


@pytest.fixture
async def site(settings: Settings, state: ShopState) -> AsyncIterator[Site]:
    site = Site(settings, state)
    yield site
    await site.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver(say(200)) as receiver:
        yield receiver


class Deliverers:
    """Processes of `storepulse deliver`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.children: list[Child] = []
        self.ports: list[int] = []

    async def start(self) -> Child:
        """One more, once it is alive."""
        port = pick_port()
        number = len(self.children)
        child = Child(
            f"deliver-{number}",
            [sys.executable, "-P", "-m", "ops.cli", "deliver"],
            self._folder / f"deliver-{number}.log",
            env=settings_environment(self._settings) | {"STOREPULSE_DELIVER_PORT": str(port)},
        )
        child.start()
        self.children.append(child)
        self.ports.append(port)
        await asyncio.to_thread(child.await_ready, lambda: answers(f"http://127.0.0.1:{port}/livez"), 60)
        return child

    def metrics(self, number: int) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[number]}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


@pytest.fixture
def deliverers(settings: Settings, tmp_path: Path) -> Iterator[Deliverers]:
    deliverers = Deliverers(settings, tmp_path)
    yield deliverers
    for child in deliverers.children:
        if child.alive:
            child.kill()


async def test_what_a_killed_deliverer_left_is_taken_over_with_nothing_lost_and_the_same_ids(
    site: Site, receiver: Receiver, deliverers: Deliverers
) -> None:
    async with open_receiver(hang) as other:
        healthy, hanging = await site.add(receiver.url), await site.add(other.url)
        first = await deliverers.start()
        ids = site.publish(30)
        await receiver.wait_for(30)
        await other.wait_for(4)  # attempts under way, which die with it
        second = await deliverers.start()
        ids += site.publish(5)
        await receiver.wait_for(35)
        first.kill()
        killed_s = time.monotonic()
        under_way = set(other.ids)
        other.answer = say(200)
        ids += site.publish(25)
        await receiver.wait_for(60, timeout_s=40)
        print(f"taken over {time.monotonic() - killed_s:.1f} s after kill -9")  # noqa: T201 - a measurement
        for message_id in ids:
            await site.wait_until_status(hanging, message_id, DeliveryStatus.DELIVERED)
        assert set(receiver.ids) == set(ids)
        assert set(other.ids) == set(ids)
        # At least once: twice only what was under way at the moment of the end.
        again = {one for one, count in Counter(other.ids).items() if count > 1}
        assert again == under_way
        assert Counter(receiver.ids).most_common(1)[0][1] <= 2
        assert (await site.status(healthy)).pending == 0
        assert second.alive


async def test_two_deliverers_share_out_and_send_nothing_twice(
    site: Site, receiver: Receiver, deliverers: Deliverers
) -> None:
    endpoints = [await site.add(f"{receiver.url}/{number}") for number in range(6)]
    await asyncio.gather(deliverers.start(), deliverers.start())
    for _ in range(10):
        site.publish(20)
        await asyncio.sleep(0)
    await receiver.wait_for(6 * 200, timeout_s=60)
    for endpoint in endpoints:
        status = await site.status(endpoint)
        assert status.delivering
        await until_empty(site, endpoint)
    assert set(Counter(receiver.ids).values()) == {6}
    held = [_sample(deliverers.metrics(number), "storepulse_webhook_leases ") for number in range(2)]
    assert sum(held) == 6
    sent = [
        _sample(deliverers.metrics(number), 'storepulse_webhook_attempts_total{result="delivered"} ')
        for number in range(2)
    ]
    assert sum(sent) == 1_200


async def until_empty(site: Site, endpoint: Any) -> None:
    async def empty() -> bool:
        return (await site.status(endpoint)).pending == 0

    await until(empty, "nothing to wait")


def _sample(text: str, name: str) -> float:
    return next(float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name))


async def test_a_deliverer_told_to_stop_lets_attempts_end_and_gives_its_leases_back(
    site: Site, receiver: Receiver, deliverers: Deliverers
) -> None:
    endpoint = await site.add(receiver.url)
    gate = asyncio.Event()

    async def wait_for_gate(writer: asyncio.StreamWriter, request: Any) -> None:
        await gate.wait()
        await say(200)(writer, request)

    receiver.answer = wait_for_gate
    child = await deliverers.start()
    (message_id,) = site.publish()
    await receiver.wait_for(1)
    child.send(signal.SIGTERM)
    await until(lambda: not answers(f"http://127.0.0.1:{deliverers.ports[0]}/livez"), "it to say it stops")
    gate.set()
    await until(lambda: not child.alive, "its end")
    assert child.exit_code == 0
    logged = (await site.deliveries(endpoint))[message_id]
    assert (logged.delivery.status, logged.delivery.n_attempts) == (DeliveryStatus.DELIVERED, 1)
    assert not (await site.status(endpoint)).delivering


@pytest.fixture
def served(settings: Settings, state: ShopState) -> Iterator[ServedApi]:
    del state  # it removes the keys
    served = ServedApi(settings, GivenModel())
    served.start()
    yield served
    served.stop()


def invoke(served: ServedApi, *arguments: str, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["webhooks", *arguments, "--url", served.url, "--json"])
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout) if result.stdout.strip() else None


def test_the_commands_do_what_the_api_does(served: ServedApi) -> None:
    refused = CliRunner().invoke(app, ["webhooks", "add", "ftp://example.com/", "--url", served.url])
    assert refused.exit_code == 1
    assert "url.scheme: url must begin with https://" in refused.output
    port = pick_port()
    made = invoke(
        served, "add", f"http://127.0.0.1:{port}/", "--kind", "cart_abandoned", "--severity", "medium"
    )
    assert (made["kinds"], made["min_severity"]) == (["cart_abandoned"], "medium")
    webhook_id = made["id"]
    failed = invoke(served, "test", webhook_id, exit_code=1)
    assert failed["attempts"][0]["result"] == "connection"
    secret = invoke(served, "rotate", webhook_id, "--overlap-h", "2")["secret"]
    assert secret != made["secret"]
    environment = os.environ | {"STOREPULSE_WEBHOOK_SECRET": secret}
    command = [
        sys.executable,
        "-m",
        "ops.cli",
        "webhooks",
        "listen",
        "--port",
        str(port),
        "--count",
        "1",
        "--json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as listener:
        assert listener.stderr is not None
        assert listener.stdout is not None
        assert f"listening on http://127.0.0.1:{port}/" in listener.stderr.readline()
        assert invoke(served, "test", webhook_id)["status"] == "delivered"
        heard = json.loads(listener.stdout.readline())
        assert listener.wait(20) == 0
    assert (heard["verified"], heard["repeated"], heard["problem"]) == (True, False, "")
    assert heard["message"]["type"] == "webhook.test"
    assert invoke(served, "pause", webhook_id)["state"] == "paused"
    assert invoke(served, "resume", webhook_id)["state"] == "active"
    assert [one["status"] for one in invoke(served, "deliveries", webhook_id)["deliveries"]] == [
        "delivered",
        "failed",
    ]
    assert invoke(served, "replay", webhook_id, "--since", "1h") == {"replaying": False}
    assert [one["id"] for one in invoke(served, "list")["webhooks"]] == [webhook_id]
    assert invoke(served, "resend", webhook_id, heard["id"])["status"] == "pending"
    shown = CliRunner().invoke(app, ["webhooks", "show", webhook_id, "--url", served.url])
    assert shown.exit_code == 0
    assert f"http://127.0.0.1:{port}/" in shown.stdout
    assert "secret" not in shown.stdout
    for name in ("list", "deliveries"):
        arguments = [webhook_id] if name == "deliveries" else []
        assert CliRunner().invoke(app, ["webhooks", name, *arguments, "--url", served.url]).exit_code == 0
    assert invoke(served, "remove", webhook_id) is None
    assert invoke(served, "list") == {"webhooks": []}


@pytest.mark.parametrize("secret", ["whsec_short", "nothing"])
def test_the_listener_refuses_a_secret_that_is_none(secret: str) -> None:
    result = CliRunner().invoke(app, ["webhooks", "listen", "--port", "0", "--secret", secret])
    assert result.exit_code == 2
    assert secret not in result.output.replace("--secret", "")
