"""A network for recommendations from archive to API, killed at every step, on real Kafka and Redis."""

import asyncio
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from contracts.clock import wall_clock_ms
from contracts.events import encode
from contracts.model_steps import StepKind
from contracts.settings import Settings
from contracts.topics import Topics
from event_api import client_of
from item_shop import session, sessions
from models.lifecycle.standings import Standing, read_standing
from models.lifecycle.state import BASE
from models.lifecycle.store import ModelStore
from models.next_item.source import NEXT_ITEM
from ops.chaos.system import SETTINGS, NotRecovered, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from ops.models.commands import decide
from ops.stack.child import Child
from ops.stack.record import settings_environment
from services import uninstall, unique_settings, wait_until
from watched_models import Watched

pytestmark = pytest.mark.slow

PAST_SESSIONS = 2_600
EVERY_MS = 50
STEP_S = 900.0
"""For a step of the learner, which works when nobody else wants the processor."""


class ItemShop:
    """A system with an archive and a learner, in which visitors come and go."""

    def __init__(self, system: SystemUnderTest) -> None:
        self.system = system
        self.watched = Watched(system.settings)
        argv = [sys.executable, "-P", "-m", "ops.cli", "learn"]
        env = settings_environment(system.settings)
        self.learner = Child("learn", argv, system.folder / "learn.log", env=env)
        self.learner.start()
        self._stop = threading.Event()
        self._sending = threading.Thread(target=self._send)
        self._sending.start()

    def close(self) -> None:
        self._stop.set()
        self._sending.join()
        self.learner.stop()
        self.watched.close()

    def await_step(self, kind: StepKind) -> None:
        """Until there was a step of this kind."""
        self._await(lambda: kind in self.watched.kinds(NEXT_ITEM), f"a step {kind}")

    def await_judged(self, sessions: int) -> Standing:
        """Until so many sessions were judged."""
        self._await(lambda: self.standing.sessions >= sessions, f"{sessions} judged sessions")
        return self.standing

    @property
    def standing(self) -> Standing:
        folder = ModelStore(Path(self.system.settings.model_store)).slot_folder(NEXT_ITEM)
        found = read_standing(folder)
        nothing = Standing(
            slot="", champion="", other="", tasks=(), after_ms=0, through_ms=0, at_ms=0, counts={}
        )
        return found if found is not None and found.other else nothing

    def kill_learner(self) -> None:
        """kill -9, and another one starts."""
        self.learner.kill()
        self.learner.start()

    def _await(self, holds: Any, what: str) -> None:
        try:
            self.system.await_that(holds, STEP_S, what)
        except NotRecovered as exc:
            pytest.fail(f"{exc}; {self.learner.log_tail()}")

    def _send(self) -> None:
        producer, topics = make_producer(self.system.settings), Topics(self.system.settings.topic_prefix)
        start_ms = wall_clock_ms() - PAST_SESSIONS * EVERY_MS
        for number, event in enumerate(sessions(PAST_SESSIONS, start_ms=start_ms, every_ms=EVERY_MS)):
            producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
            if number % 1_000 == 0:
                producer.flush(30)
        draw, number = random.Random(7), 0
        while not self._stop.is_set():
            for _ in range(3):
                number += 1
                for event in session(draw, f"new{number}", wall_clock_ms()):
                    producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
            producer.flush(30)
            time.sleep(0.2)


@pytest.fixture
def shop(kafka_bootstrap: str, tmp_path: Path) -> Iterator[ItemShop]:
    own = {
        **SETTINGS,
        "partitions": 2,
        "scoring": False,
        "archive": str(tmp_path / "archive"),
        "learn_events": str(tmp_path / "archive"),
        "archive_flush_s": 1.0,
        "model_store": str(tmp_path / "store"),
    }
    settings = unique_settings(kafka_bootstrap, "redis://set.by.system/0", **own)
    with open_system(settings, tmp_path, workers=1) as system:
        shop = ItemShop(system)
        try:
            yield shop
        finally:
            shop.close()
            uninstall(system.settings)


def ask_api(settings: Settings, version: str) -> dict[str, Any]:
    """What an API that has just started says of models, once the version of recommendations is this one."""

    async def ask() -> dict[str, Any]:
        app = create_app(settings)
        async with app.router.lifespan_context(app), client_of(app) as client, asyncio.timeout(90):
            while True:
                answer = (await client.get("/v1/recommendations", params={"user_id": "new1"})).json()
                if answer.get("model") == version:
                    break
                await asyncio.sleep(0.1)
            history = (await client.get("/v1/models/history", params={"slot": NEXT_ITEM})).json()
            return {**(await client.get("/v1/models")).json(), "history": history}

    return asyncio.run(ask())


def test_a_network_is_trained_tried_on_new_sessions_and_promoted(shop: ItemShop) -> None:
    shop.await_step(StepKind.CANDIDATE)
    shop.kill_learner()
    shop.await_step(StepKind.SHADOW)
    shop.kill_learner()
    before = shop.await_judged(1)
    shop.kill_learner()
    after = shop.await_judged(before.sessions + 1)
    assert (after.pair, after.after_ms) == (before.pair, before.after_ms), "no kill began it anew"
    assert after.after_ms > shop.watched.steps(NEXT_ITEM)[0].at_ms - 60_000
    shop.await_step(StepKind.PROMOTE)
    shop.kill_learner()

    assert shop.watched.kinds(NEXT_ITEM)[:3] == [StepKind.CANDIDATE, StepKind.SHADOW, StepKind.PROMOTE]
    candidate, shadow, promoted = shop.watched.steps(NEXT_ITEM)[:3]
    assert candidate.version == shadow.version == promoted.version, "no kill made another one"
    assert shadow.figures["loss"] < shadow.figures["the_sessions_alone_loss"]
    assert promoted.figures["high"] < 0
    assert promoted.figures["other"] < promoted.figures["base_rates"]
    place = ModelStore(Path(shop.system.settings.model_store)).place(NEXT_ITEM, promoted.version)
    assert {file.name for file in place.iterdir()} >= {"card.json", "items.npz", "model.onnx"}

    settings, ranked_by = shop.system.settings, f"recent-sessions-1-{promoted.version}"
    for _ in range(2):  # the second one has restarted
        found = ask_api(settings, ranked_by)
    assert found["history"]["slots"][0]["champion"] == promoted.version
    (judged,) = found["judged"]
    assert judged["slot"] == NEXT_ITEM
    assert set(judged["champion_losses"]) <= {"rank", "miss"}

    shop.learner.stop()
    assert decide(settings, StepKind.ROLL_BACK, NEXT_ITEM, None, "a test") == 0
    wait_until(lambda: shop.watched.lifecycle.state(NEXT_ITEM).champion == BASE, 30, "what it comes with")
    ask_api(settings, "recent-sessions-1")
