"""What is learnt rides in the commit: a kill -9 and an older Redis leave it with what was counted with it."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.heartbeat import NEXT_ACTION
from contracts.topics import Topics
from models.online.blob import add_up, unpack_learned
from models.online.sums import sums_in
from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from services import uninstall, unique_settings

IDLE_S = 2.0
VISITORS = 60
KINDS = [EventType.VIEW] * 6 + [EventType.CART] * 2 + [EventType.PURCHASE]


class LearningShop:
    """A system with the shipped model, and short sessions that are sent to it."""

    def __init__(self, system: SystemUnderTest) -> None:
        self.system = system
        self.sent = 0
        self._producer = make_producer(system.settings)
        self._topics = Topics(system.settings.topic_prefix)
        self._draw = random.Random(3)

    def visit(self, rounds: int = 2) -> None:
        """Sessions of up to three actions each, `rounds` one after the other, and a silence after each."""
        for _ in range(rounds):
            for _ in range(3):
                for number in range(VISITORS):
                    if self._draw.random() < 0.6:
                        self._send(f"visitor-{number}")
                self._producer.flush(30)
                time.sleep(0.1)
            time.sleep(IDLE_S * 1.5)

    def _send(self, user: str) -> None:
        kind = self._draw.choice(KINDS)
        event = Event(f"e{self.sent}", kind, wall_clock_ms(), user, f"product-{self._draw.randrange(9)}")
        self._producer.produce(self._topics.of(kind), encode(event), user.encode())
        self.sent += 1

    def await_more(self, than: int) -> int:
        """Until more answers were counted as learnt than so many; how many."""
        self.system.await_that(
            lambda: self.system.counter("learnt") > than, 90, f"over {than} answers learnt"
        )
        return self.system.counter("learnt")

    def assert_learnt_once(self) -> None:
        """What lies in Redis was learnt of just as many answers as were counted in the same commits."""
        keys, client = self.system.keys, self.system.client
        for p, meta in enumerate(self.system.metas()):
            blob = client.get(keys.learned(p, NEXT_ACTION))
            assert blob is None or isinstance(blob, bytes)
            judged = 0.0 if blob is None else sums_in(unpack_learned(blob).vector).total_judged[1]
            assert judged == meta.get("learnt", 0), f"partition {p}"

    def stop_visits(self) -> None:
        """Until nothing more is learnt."""
        seen = -1
        while seen != (seen := self.system.counter("learnt")):
            time.sleep(IDLE_S * 2)


@pytest.fixture
def shop(kafka_bootstrap: str, tmp_path: Path) -> Iterator[LearningShop]:
    fields = {**SETTINGS, "learning": True, "idle_ms": int(IDLE_S * 1_000), "disorder_ms": 200}
    settings = unique_settings(kafka_bootstrap, "redis://set.by.system/0", **fields)
    with open_system(settings, tmp_path, workers=1) as system:
        yield LearningShop(system)
        uninstall(system.settings)


def test_a_kill_and_an_older_redis_neither_lose_nor_double_what_was_learnt(shop: LearningShop) -> None:
    system = shop.system
    shop.visit()
    learnt = shop.await_more(0)

    (worker,) = system.supervisor.workers
    worker.kill()
    shop.visit()
    learnt = shop.await_more(learnt)
    shop.stop_visits()
    shop.assert_learnt_once()

    system.redis.copy_data(tmp := system.folder / "copy")
    older = system.counter("learnt")
    shop.visit()
    shop.await_more(older)
    system.redis.kill()
    system.redis.restore_data(tmp)
    system.redis.restart()
    shop.visit()
    shop.await_more(older)
    shop.stop_visits()
    shop.assert_learnt_once()

    keys = system.keys
    blobs = [system.client.get(keys.learned(p, NEXT_ACTION)) for p in range(keys.partitions)]
    known = [unpack_learned(blob) for blob in blobs if isinstance(blob, bytes)]
    (version,) = {learned.version for learned in known}
    judged = sums_in(add_up(known, version).vector).total_judged
    assert 100 < judged[0] <= shop.sent
    assert sum(beat.model == version for beat in system.heartbeats()) == 1
