"""From a candidate to the champion: with kill -9 after every step, and of a trained network in earnest."""

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.heartbeat import NEXT_ACTION
from contracts.model_steps import StepKind
from contracts.topics import Topics
from models.lifecycle.state import BASE
from models.lifecycle.store import ModelStore
from models.next_action.predictor import load
from ops.chaos.system import SETTINGS, NotRecovered, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from ops.models.commands import decide
from ops.stack.child import Child
from ops.stack.record import settings_environment
from registrations import own_registrations
from services import uninstall, unique_settings, wait_until
from watched_models import Watched

pytestmark = pytest.mark.slow

EXTENSIONS = Path(__file__).parents[1] / "extending"
SLOT = "next_purchase"
VISITORS = 80
MOST_PRODUCTS = 5
ROUND_MS = 300
"""Between two actions of a visitor."""
STEP_S = 500.0
"""For a step of the learner, which works when nobody else wants the processor."""


class Visitors:
    """Who puts one product into the cart buys next in four of ten cases, and who puts more never does."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._made = 0
        self._carts: dict[str, int] = {}

    def act(self, at_ms: int) -> list[Event]:
        """One action each of those who are there, and of others in place of those who have left."""
        while len(self._carts) < VISITORS:
            self._made += 1
            self._carts[f"v{self._made}"] = 0
        return [self._next(user, at_ms) for user in list(self._carts)]

    def _next(self, user: str, at_ms: int) -> Event:
        n = self._carts[user]
        buys = n == 1 and self._draw.random() < 0.4
        if buys or n + 1 == MOST_PRODUCTS:
            del self._carts[user]
        else:
            self._carts[user] = n + 1
        kind = EventType.PURCHASE if buys else EventType.CART
        return Event(f"{user}-{n}-{buys}", kind, at_ms, user, f"p{n}")


class LoopShop:
    """A system with one model slot, and its learner."""

    def __init__(self, system: SystemUnderTest, slot: str, events: Path) -> None:
        self.system = system
        self._slot = slot
        self.watched = Watched(system.settings)
        env = settings_environment(system.settings) | {"STOREPULSE_LEARN_EVENTS": str(events)}
        argv = [sys.executable, "-P", "-m", "ops.cli", "learn"]
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
        try:
            self.system.await_that(lambda: kind in self.watched.kinds(self._slot), STEP_S, f"a step {kind}")
        except NotRecovered as exc:
            pytest.fail(f"{exc}; {self.learner.log_tail()}")

    def kill_all(self) -> None:
        """kill -9 of learner and worker; both are started again."""
        self.learner.kill()
        for worker in self.system.supervisor.workers:
            worker.kill()
        self.learner.start()

    def asked_by_workers(self) -> set[str]:
        """The versions that the workers of now say they ask."""
        return {
            slot.model for beat in self.system.heartbeats() for slot in beat.slots if slot.slot == self._slot
        }

    def await_asked(self, version: str) -> None:
        """Until the only worker asks this version and no other."""
        self.system.await_that(
            lambda: self.asked_by_workers() == {version}, 90, f"version {version} to be asked"
        )

    def _send(self) -> None:
        producer, topics = make_producer(self.system.settings), Topics(self.system.settings.topic_prefix)
        visitors = Visitors(7)
        while not self._stop.is_set():
            for event in visitors.act(wall_clock_ms()):
                producer.produce(topics.of(event.event_type), encode(event), event.user_id.encode())
            producer.flush(30)
            time.sleep(ROUND_MS / 1_000)


@contextmanager
def running_shop(
    kafka_bootstrap: str, folder: Path, slot: str, *, past_rounds: int, **fields: object
) -> Iterator[LoopShop]:
    """The system at work, with events of so many rounds to learn from."""
    past, now_ms = Visitors(3), wall_clock_ms()
    rounds = [past.act(now_ms - ROUND_MS * n) for n in range(past_rounds, 0, -1)]
    events = folder / "past.jsonl"
    events.write_bytes(b"\n".join(encode(event) for each in rounds for event in each) + b"\n")
    own = {**SETTINGS, **fields, "model_store": str(folder / "store")}
    settings = unique_settings(kafka_bootstrap, "redis://set.by.system/0", **own)
    with open_system(settings, folder, workers=1) as system:
        shop = LoopShop(system, slot, events)
        try:
            yield shop
        finally:
            shop.close()
            uninstall(system.settings)


@pytest.fixture
def extended_shop(
    kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LoopShop]:
    """One whose only slot is that of an extension, which trains in no time."""
    monkeypatch.setenv("PYTHONPATH", str(EXTENSIONS))
    monkeypatch.syspath_prepend(EXTENSIONS)
    fields = {"extensions": "restock", "scoring": False}
    with own_registrations(), running_shop(kafka_bootstrap, tmp_path, SLOT, past_rounds=40, **fields) as shop:
        yield shop
    for name in [name for name in sys.modules if name.partition(".")[0] == "restock"]:
        del sys.modules[name]


def test_kills_at_every_step_leave_one_champion_and_all_agree(extended_shop: LoopShop) -> None:
    shop = extended_shop
    lifecycle = shop.watched.lifecycle
    for kind in (StepKind.CANDIDATE, StepKind.SHADOW, StepKind.PROMOTE, StepKind.CONFIRM):
        shop.await_step(kind)
        shop.kill_all()
    kinds = shop.watched.kinds(SLOT)
    assert kinds == [StepKind.CANDIDATE, StepKind.SHADOW, StepKind.PROMOTE, StepKind.CONFIRM]
    assert len({step.version for step in shop.watched.steps(SLOT)}) == 1, "no kill made another candidate"
    assert [step.number for step in shop.watched.steps(SLOT)] == [1, 2, 3, 4]
    promoted = shop.watched.steps(SLOT)[2]
    assert promoted.figures["high"] < 0
    assert promoted.figures["other"] < promoted.figures["champion"]

    champion = lifecycle.state(SLOT).champion
    assert champion == promoted.version
    shop.await_asked(champion)
    (worker,) = shop.system.supervisor.workers
    worker.kill()
    shop.system.await_that(
        lambda: {beat.pid for beat in shop.system.heartbeats()} == {worker.pid}, 60, "the next worker only"
    )
    shop.await_asked(champion)

    assert decide(shop.system.settings, StepKind.ROLL_BACK, SLOT, None, "a test") == 0
    wait_until(lambda: lifecycle.state(SLOT).champion == BASE, 30, "what the slot comes with")
    shop.system.await_that(
        lambda: len(found := shop.asked_by_workers()) == 1 and champion not in found, 60, "the one before"
    )


def test_a_trained_network_takes_the_place_of_the_shipped_one(kafka_bootstrap: str, tmp_path: Path) -> None:
    with running_shop(kafka_bootstrap, tmp_path, NEXT_ACTION, past_rounds=150) as shop:
        shop.await_step(StepKind.CANDIDATE)
        shop.await_step(StepKind.PROMOTE)
        assert shop.watched.kinds(NEXT_ACTION)[:3] == [StepKind.CANDIDATE, StepKind.SHADOW, StepKind.PROMOTE]
        promoted = shop.watched.steps(NEXT_ACTION)[2]
        assert promoted.figures["high"] < 0
        card = load(ModelStore(tmp_path / "store").place(NEXT_ACTION, promoted.version)).card
        assert card.config["trees"], "it is a blend, as the one that ships"
        shop.await_asked(promoted.version)
