"""Whoever sends with another Kafka client sees state and alerts as with our own producer."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer
from redis import Redis

from client_shop import Shop, lack_tool, run
from contracts.alerts import AlertState, decode_alert, encode_alert
from contracts.clock import wall_clock_ms
from contracts.events import EventType
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import unpack_visitor
from ops.audit import count_log, read_log
from producers.sender import KafkaSender, Record
from running_worker import running_worker
from services import install, uninstall, unique_settings, wait_until

pytestmark = pytest.mark.slow

SHOPPERS = 12
CART_IDLE_MS = 3_000
PAUSE_S = 0.02
OWN = "own"

Lines = list[tuple[str, str, bytes]]
"""Topic, key and value, whose event time is to be that of sending."""


class AlertShop(Shop):
    """A shop where a cart is abandoned after seconds; it remembers what our own producer led to."""

    def __init__(self, settings: Settings, worker: Any) -> None:
        super().__init__(settings, worker)
        self.client = Redis.from_url(settings.redis_url)
        self.keys = Keys(settings.namespace, settings.partitions)
        self.own: dict[int, dict[str, Any]] = {}

    def lines(self, name: str) -> Lines:
        """What shoppers of this name do: look, put two products into the cart, go quiet."""
        topics = Topics(self.settings.topic_prefix)
        lines = []
        for number in range(SHOPPERS):
            user = f"{name}-{number}"
            for step, (kind, product, price, quantity) in enumerate(
                (
                    (EventType.VIEW, "p1", "19.90", 1),
                    (EventType.CART, "p1", "19.90", 1),
                    (EventType.CART, "p2", "5.00", 1 + number % 3),
                )
            ):
                event = {
                    "event_id": f"{user}-{step}", "event_type": kind, "event_time": 0, "user_id": user,
                    "product_id": product, "price": price, "quantity": quantity, "currency": "EUR",
                }  # fmt: skip
                lines.append((topics.of(kind), user, orjson.dumps(event)))
        return lines

    def alerts(self, name: str) -> dict[int, dict[str, Any]]:
        """Alerts that fired about the shoppers of this name, without ids and moments.

        In place of the moment is how long after the last event it was, in ms.
        """
        found = {}
        for _, value in read_log(self.client, self.keys):
            alert = decode_alert(value)
            user, _, number = str(alert.user_id).rpartition("-")
            if user != name or alert.state is not AlertState.FIRING:
                continue
            blob: Any = self.client.get(self.keys.visitor(str(alert.user_id)))
            after_ms = alert.fired_ms - unpack_visitor(blob).head.last_ms
            fields = orjson.loads(encode_alert(alert)).items()
            told = {key: said for key, said in fields if not key.endswith(("_ms", "_id"))}
            found[int(number)] = told | {"after_ms": after_ms}
        return found

    def await_alerts(self, name: str) -> dict[int, dict[str, Any]]:
        """The same, once there is one of each shopper."""
        wait_until(
            lambda: len(self.alerts(name)) == SHOPPERS, 60, f"alerts of {name}; {self.worker.log_tail()}"
        )
        return self.alerts(name)

    def arrivals_ms(self, name: str) -> dict[str, int]:
        """When the broker got the first record of each shopper of this name."""
        arrived_ms = dict(count_log(self.settings).arrivals().iter_rows())
        return {f"{name}-{n}": arrived_ms[f"{name}-{n}-0"] for n in range(SHOPPERS)}


class Watcher(threading.Thread):
    """Notes when the state of each shopper appears in Redis, to a millisecond or two."""

    def __init__(self, shop: AlertShop, name: str) -> None:
        super().__init__(daemon=True)
        self.seen_ms: dict[str, int] = {}
        self._client = Redis.from_url(shop.settings.redis_url)
        self._waiting = {f"{name}-{n}": shop.keys.visitor(f"{name}-{n}") for n in range(SHOPPERS)}
        self._halted = threading.Event()

    def run(self) -> None:
        while self._waiting and not self._halted.is_set():
            pipe = self._client.pipeline(transaction=False)
            users = list(self._waiting)
            for user in users:
                pipe.exists(self._waiting[user])
            found = pipe.execute()
            now_ms = wall_clock_ms()
            for user, is_there in zip(users, found, strict=True):
                if is_there:
                    self.seen_ms[user] = now_ms
                    del self._waiting[user]
            time.sleep(0.001)

    def finish(self) -> dict[str, int]:
        self.join(30)
        self._halted.set()
        self._client.close()
        assert not self._waiting, "shoppers who were never seen"
        return self.seen_ms


@pytest.fixture(scope="module")
def alert_shop(
    kafka_bootstrap: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AlertShop]:
    settings = install(
        unique_settings(
            kafka_bootstrap,
            redis_url,
            partitions=6,
            scoring=False,
            cart_idle_ms=CART_IDLE_MS,
            disorder_ms=500,
        )
    )
    with running_worker(settings, tmp_path_factory.mktemp("shop")) as worker:
        shop = AlertShop(settings, worker)
        check(
            shop, "warm-up", lambda lines: send_own(shop, lines)
        )  # what starts late is no delay of a client
        shop.own = check(shop, OWN, lambda lines: send_own(shop, lines))
        yield shop
    uninstall(settings)


def now_in(value: bytes) -> bytes:
    return value.replace(b'"event_time":0', b'"event_time":%d' % wall_clock_ms())


def send_own(shop: AlertShop, lines: Lines) -> None:
    sender = KafkaSender(shop.settings)
    for topic, key, value in lines:
        sender.send_raw(Record(topic, None, key.encode(), now_in(value)))
        sender.flush()
        time.sleep(PAUSE_S)
    sender.close()


def write(lines: Lines, path: Path) -> str:
    path.write_text("".join(f"{topic}\t{key}\t{value.decode()}\n" for topic, key, value in lines))
    return f"@{path}"


def check(
    shop: AlertShop, name: str, send: Callable[[Lines], dict[str, int] | None]
) -> dict[int, dict[str, Any]]:
    """The alerts of shoppers whose events are sent so. Prints the delays to the visible state.

    They begin at the broker, or when `send` says that what it sent was to be committed.
    """
    watcher = Watcher(shop, name)
    watcher.start()
    begun_ms = send(shop.lines(name)) or shop.arrivals_ms(name)
    seen_ms = watcher.finish()
    alerts = shop.await_alerts(name)
    delays_ms = sorted(seen_ms[user] - begun_ms[user] for user in seen_ms)
    print(  # noqa: T201 - a measurement
        f"{name}: visible after {statistics.median(delays_ms):g} ms, at most {delays_ms[-1]} ms"
    )
    return alerts


def test_our_own_producer_has_alerts_of_all(alert_shop: AlertShop) -> None:
    assert [alert["kind"] for alert in alert_shop.own.values()] == ["cart_abandoned"] * SHOPPERS
    assert {alert["after_ms"] for alert in alert_shop.own.values()} == {CART_IDLE_MS}
    assert sorted({alert["cart_value_minor"] for alert in alert_shop.own.values()}) == [2490, 2990, 3490]


def test_confluent_kafka_python(alert_shop: AlertShop) -> None:
    producer = Producer({"bootstrap.servers": alert_shop.settings.bootstrap, "partitioner": "murmur2_random"})

    def send(lines: Lines) -> None:
        for topic, key, value in lines:
            producer.produce(topic, now_in(value), key)
            producer.flush()
            time.sleep(PAUSE_S)

    assert check(alert_shop, "confluent", send) == alert_shop.own


def test_kcat(alert_shop: AlertShop, tmp_path: Path) -> None:
    path = tmp_path / "value"

    def send(lines: Lines) -> None:
        for topic, key, value in lines:
            path.write_bytes(now_in(value))
            run([
                "kcat", "-P", "-b", alert_shop.settings.bootstrap, "-t", topic, "-k", key,
                "-X", "partitioner=murmur2_random", str(path),
            ])  # fmt: skip

    lack_tool("kcat")
    assert check(alert_shop, "kcat", send) == alert_shop.own


def test_kafkajs(alert_shop: AlertShop, kafkajs: Path, tmp_path: Path) -> None:
    def send(lines: Lines) -> None:
        topic = write(lines, tmp_path / "lines")
        run(["node", "send.js", alert_shop.settings.bootstrap, topic, "none", "kafkajs", "0"], kafkajs)

    assert check(alert_shop, "kafkajs", send) == alert_shop.own


@pytest.mark.parametrize("client", ["franz", "sarama"])
def test_go(alert_shop: AlertShop, go_senders: Path, client: str, tmp_path: Path) -> None:
    def send(lines: Lines) -> None:
        topic = write(lines, tmp_path / "lines")
        program, name = str(go_senders / client), f"{client}-murmur2"
        run([program, alert_shop.settings.bootstrap, topic, "snappy", name, "0"])

    assert check(alert_shop, client, send) == alert_shop.own


@pytest.mark.parametrize("name", ["java", "java-tx"])
def test_java_plain_and_in_transactions(
    alert_shop: AlertShop, java_path: str, name: str, tmp_path: Path
) -> None:
    def send(lines: Lines) -> dict[str, int]:
        """When the first transaction of each shopper was to be committed; empty where there were none."""
        topic = write(lines, tmp_path / "lines")
        told = run(
            ["java", "-cp", java_path, "Send", alert_shop.settings.bootstrap, topic, "gzip", name, "0"]
        )
        committed: dict[str, int] = {}
        for line in told.splitlines():
            key, _, at_ms = line.partition(" ")
            committed.setdefault(key, int(at_ms))
        return committed

    assert check(alert_shop, name, send) == alert_shop.own
