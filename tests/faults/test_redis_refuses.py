"""A Redis that is there and says no: every part names the trouble with its remedy, waits, and goes on."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from contracts.buckets import Metric
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from ops.chaos.traffic import make_producer
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from ops.stack.redis_server import RedisServer
from plain_http import NO_TLS
from services import install, uninstall, unique_settings, wait_until

AT_MS = 1_748_854_800_000
PARTS = ("worker", "api", "deliver")
BATCH = 20


class Shop:
    """Worker, API and deliverer on a Redis of their own, each a process."""

    def __init__(self, settings: Settings, redis: RedisServer, folder: Path) -> None:
        self.settings = settings
        self.keys = Keys(settings.namespace, settings.partitions)
        self.client = Redis.from_url(redis.url)
        self.data = redis.folder
        self._sent = 0
        self._producer = make_producer(settings)
        self.children = {
            name: Child(name, [sys.executable, "-P", "-m", "ops.cli", name], folder / f"{name}.log",
                        env=settings_environment(settings))
            for name in PARTS
        }  # fmt: skip
        for child in self.children.values():
            child.start()

    def buy(self) -> None:
        """As many purchases as one batch has."""
        topic = Topics(self.settings.topic_prefix).of(EventType.PURCHASE)
        for _ in range(BATCH):
            self._sent += 1
            user = f"u{self._sent}"
            event = Event(f"e{self._sent}", EventType.PURCHASE, AT_MS + self._sent, user, "p1")
            p = partition_of(user, self.settings.partitions)
            self._producer.produce(topic, encode(event), user.encode(), partition=p)
        assert self._producer.flush(30) == 0

    def units(self) -> int:
        """Units bought, by the shop's buckets."""
        buckets = [self.keys.shop_bucket(p, "minute", AT_MS) for p in range(self.settings.partitions)]
        return sum(int(self.client.hget(bucket, Metric.UNITS) or 0) for bucket in buckets)

    def ready(self, name: str) -> tuple[int, str]:
        """What a part answers when it is asked whether it does its work."""
        port = {"worker": self.settings.worker_port, "api": self.settings.api_port,
                "deliver": self.settings.deliver_port}[name]  # fmt: skip
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=10, verify=NO_TLS)
        except httpx.HTTPError:
            return 0, ""
        return answer.status_code, answer.text

    def are_ready(self) -> bool:
        return all(self.ready(name)[0] == 200 for name in PARTS)

    def doctor(self, folder: Path) -> str:
        """What the doctor finds at fault, in one text."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ops.cli", "doctor", "--json", "--state", str(folder)],
            env=self.children["worker"].env | {"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        failed = [check for check in json.loads(done.stdout) if check["level"] == "fail"]
        assert done.returncode == 1
        return " ".join(f"{check['found']} {check['advice']}" for check in failed)

    def close(self) -> None:
        for child in self.children.values():
            child.kill()
        self.client.close()


@pytest.fixture
def shop(kafka_bootstrap: str, private_redis: RedisServer, tmp_path: Path) -> Iterator[Shop]:
    ports = {f"{name}_port": pick_port() for name in PARTS}
    settings = install(
        unique_settings(kafka_bootstrap, private_redis.url, partitions=2, scoring=False, stall_s=4.0, **ports)
    )
    shop = Shop(settings, private_redis, tmp_path)
    wait_until(shop.are_ready, 90, "every part to be ready")
    yield shop
    shop.close()
    uninstall(settings)


def fill(shop: Shop) -> Callable[[], object]:
    shop.client.config_set("maxmemory", "1")
    return lambda: shop.client.config_set("maxmemory", "0")


def make_replica(shop: Shop) -> Callable[[], object]:
    shop.client.replicaof("127.0.0.1", 1)
    return lambda: shop.client.replicaof("NO", "ONE")


def fail_to_save(shop: Shop) -> Callable[[], object]:
    (shop.data / "dump.rdb").mkdir()  # where the file would be renamed to
    (shop.data / "dump.rdb" / "full").touch()
    shop.client.config_set("save", "3600 1")
    shop.client.bgsave()
    wait_until(lambda: shop.client.info("persistence")["rdb_last_bgsave_status"] == "err", 20, "it to fail")
    return lambda: shop.client.config_set("save", "")


def take_a_right(shop: Shop) -> Callable[[], object]:
    shop.client.execute_command("ACL", "SETUSER", "default", "-set")
    return lambda: shop.client.execute_command("ACL", "SETUSER", "default", "+set")


TROUBLES = {
    "full": (fill, "Redis is full and rejects writes", "maxmemory"),
    "read-only": (make_replica, "this Redis is a read-only replica", "primary"),
    "disk": (fail_to_save, "Redis cannot write to its disk", "free space"),
    "right": (take_a_right, "the Redis user lacks a permission", "ACL"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_named_and_waited_for_and_nothing_is_lost_or_counted_twice(
    shop: Shop, trouble: str, tmp_path: Path
) -> None:
    impose, found, remedy = TROUBLES[trouble]
    shop.buy()
    wait_until(lambda: shop.units() == BATCH, 60, "the first purchases")
    mend = impose(shop)
    shop.buy()
    for name in PARTS:
        wait_until(lambda name=name: found in shop.ready(name)[1], 30, f"{name} to name it")  # type: ignore[misc]
        status, text = shop.ready(name)
        assert (status, remedy in text) == (503, True), text
    said = shop.doctor(tmp_path)
    assert found in said
    assert remedy in said
    problem = httpx.post(f"http://127.0.0.1:{shop.settings.api_port}/v1/alerts/stream-tickets", timeout=10)
    assert problem.status_code < 500 or problem.json()["code"] == "redis.unavailable"
    wait_until(lambda: found in shop.children["worker"].log_path.read_text(), 30, "the worker's line")
    assert shop.units() == BATCH
    # Longer than the watchdog waits: a worker that is started anew would be refused the same.
    waited = subprocess.run(["sleep", str(2 * shop.settings.stall_s)], check=True)
    assert waited.returncode == 0
    mend()
    wait_until(lambda: shop.units() == 2 * BATCH, 60, "the other purchases")
    wait_until(shop.are_ready, 30, "every part to be ready again")
    for name, child in shop.children.items():
        log = child.log_path.read_text()
        assert child.alive, log[-2_000:]
        assert "Traceback" not in log, log[-4_000:]
        assert log.count(found) <= 2, (name, log[-4_000:])
    assert shop.units() == 2 * BATCH
