"""A version in the shadow: asked about the same visitors, judged by the same answers, and nothing changes."""

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contracts.events import Event
from contracts.heartbeat import NEXT_ACTION
from contracts.key_families import PAIRED, family_of
from contracts.model_steps import Author, ModelStep, StepKind, encode_step, new_step_id
from contracts.settings import Settings
from contracts.visitor import unpack_visitor
from cores import core_named
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.pairs import PairSums, beside_key, sums_of
from models.quality import add_up
from producers.simulator.simulation import SimulationConfig, simulate
from second_slot import NAME, NextPurchaseSlot, put_model
from slot_scorer import FixedModel
from stream.batch.core import PYTHON, Core
from stream.registry import make_registry

SETTINGS = Settings(partitions=3, idle_ms=120_000, disorder_ms=1_000)
FROM_MS = 1_759_276_800_000
CHUNK = 80


class Sharp(FixedModel):
    """A model that knows how often things happen in the simulated shop, or is sure of what does not."""

    def __init__(self, version: str, row: list[float]) -> None:
        super().__init__(version)
        self._row = np.array(row, dtype=np.float32)

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        del lengths, context, ids
        return np.tile(self._row, (len(steps), 1)), np.full(len(steps), 0.1, dtype=np.float32)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    config = SimulationConfig(FROM_MS, rate=1.0, visitors=200)
    return list(islice(simulate(config, seed=4), 800))


class Shop:
    """A worker in memory, with versions beside the champions of its slots."""

    def __init__(self, folder: Path, core: Core = PYTHON, settings: Settings = SETTINGS) -> None:
        self.settings = settings.model_copy(update={"model_store": str(folder / "store")})
        self.core, self.folder = core, folder
        self.lifecycle = Lifecycle()
        self.kafka, self.store = MemoryLog(settings.partitions), WatchedStore(settings)
        self.start()

    def start(self) -> None:
        registry = make_registry(self.settings)
        put_model(self.folder / "base", "v1", 0.25)
        registry.add_slot(NextPurchaseSlot(self.folder / "base"))
        self.worker = MemoryWorker(
            self.settings, registry, self.kafka, self.store, self.core, lifecycle=self.lifecycle
        )
        self.worker.slots.scorers[NEXT_ACTION].host.take_up(FixedModel("v1"))
        for name, scorer in self.worker.slots.scorers.items():
            scorer.slot.time_limit_s = 60.0  # on a busy machine too
            shadow = self.worker.slots.shadows._shadows[name]
            shadow.grace_s = 60.0

    async def feed(self, events: list[Event]) -> None:
        for at in range(0, len(events), CHUNK):
            for event in events[at : at + CHUNK]:
                self.kafka.send(event)
            await self.worker.read()

    def put_beside(self, model: FixedModel) -> None:
        """Let a model run in the shadow of the next action's."""
        shadow = self.worker.slots.shadows._shadows[NEXT_ACTION]
        shadow.host.take_up(model)

    def step(self, slot: str, kind: StepKind, version: str) -> None:
        number = self.lifecycle.state(slot).number + 1
        self.lifecycle.take(
            encode_step(ModelStep(new_step_id(), slot, number, kind, version, 0, Author.LEARNER, "", {}))
        )

    def sums(self, pair: str) -> PairSums:
        """The sums of a pair in the store, of all partitions."""
        found = [part.hash(PAIRED + pair) for part in self.store.partitions.values()]
        return sums_of(add_up([{name: int(n) for name, n in own.items()} for own in found]))

    def names_kept(self) -> set[str]:
        visitors = [
            unpack_visitor(part.values["v:" + name])
            for part in self.store.partitions.values()
            for name in part.names("v:")
        ]
        return {name for visitor in visitors for name in visitor.extra}

    def close(self) -> None:
        self.worker.slots.close()


@pytest.fixture(params=["python", "compiled"])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(tmp_path, core_named(request.param))
    yield shop
    shop.close()


async def test_both_are_judged_by_the_same_answers(shop: Shop, events: list[Event]) -> None:
    shop.put_beside(Sharp("v2", [0.6, 0.1, 0.05, 0.05, 0.2]))
    await shop.feed(events)
    found = shop.sums("next_action:v1~v2")
    assert found.sessions > 30
    assert found.answers >= found.sessions
    assert (found.late, found.asked > found.answers) == (0, True)
    assert sum(found.happened[0]) == sum(found.happened[1]) == found.answers
    champion, other = found.mean_loss(found.champion), found.mean_loss(found.other)
    assert (sum(found.other) - sum(found.champion)) == pytest.approx(found.difference, abs=1e-3)
    assert champion > other, "what is nearer to how often things happen is better"
    assert found.constant_loss is not None
    assert found.constant_loss <= other
    assert found.square >= found.difference**2 / found.sessions
    family = family_of(PAIRED + "next_action:v1~v2")
    assert family is not None
    assert not family.names_visitors


async def test_with_learning_or_without_the_models_themselves_are_compared(
    tmp_path: Path, events: list[Event]
) -> None:
    found = []
    for learning in (True, False):
        shop = Shop(tmp_path / str(learning), settings=SETTINGS.model_copy(update={"learning": learning}))
        shop.put_beside(Sharp("v2", [0.6, 0.1, 0.05, 0.05, 0.2]))
        await shop.feed(events[:500])
        found.append(shop.sums("next_action:v1~v2"))
        shop.close()
    assert found[0] == found[1]


async def test_nothing_published_changes_and_without_it_nothing_is_kept(
    tmp_path: Path, events: list[Event]
) -> None:
    commits = []
    for model in (None, Sharp("v2", [0.6, 0.1, 0.05, 0.05, 0.2])):
        shop = Shop(tmp_path / str(model is None))
        if model is not None:
            shop.put_beside(model)
        await shop.feed(events[:400])
        said = {}
        for part in shop.store.partitions.values():
            for name in part.names("v:"):
                visitor = unpack_visitor(part.values["v:" + name])
                said[name] = visitor.predictions
        commits.append(said)
        assert (beside_key(NEXT_ACTION) in shop.names_kept()) == (model is not None)
        shop.close()
    assert commits[0] == commits[1]


async def test_a_kill_leaves_sums_and_what_waits_as_they_were_together(
    shop: Shop, events: list[Event], tmp_path: Path
) -> None:
    model = Sharp("v2", [0.6, 0.1, 0.05, 0.05, 0.2])
    whole = Shop(tmp_path / "whole")
    whole.put_beside(model)
    await whole.feed(events)
    whole.close()
    shop.put_beside(model)
    await shop.feed(events[:400])
    shop.close()
    shop.start()  # it knows nothing but what is stored
    shop.put_beside(model)
    await shop.feed(events[400:])
    assert shop.sums("next_action:v1~v2") == whole.sums("next_action:v1~v2")


async def test_any_slot_that_judges_has_a_shadow(shop: Shop, events: list[Event]) -> None:
    for scorer in shop.worker.slots.scorers.values():
        if scorer.slot.name == NAME:
            await scorer.host.look()
    put_model(Path(shop.settings.model_store) / NAME / "v2", "v2", 0.5)
    shop.step(NAME, StepKind.CANDIDATE, "v2")
    await shop.worker.slots.shadows.look()
    await shop.feed(events[:300])
    assert not shop.sums("next_purchase:v1~v2").asked, "a candidate is not asked yet"
    shop.step(NAME, StepKind.SHADOW, "v2")
    await shop.worker.slots.shadows.look()
    await shop.feed(events[300:600])
    found = shop.sums("next_purchase:v1~v2")
    assert found.sessions > 3
    assert found.other == pytest.approx((found.answers * math.log(2),), rel=1e-3)
    assert found.constant_loss is None

    shop.step(NAME, StepKind.PROMOTE, "v2")
    for scorer in shop.worker.slots.scorers.values():
        if scorer.slot.name == NAME:
            await scorer.host.look()
            assert scorer.host.version == "v2"
    await shop.worker.slots.shadows.look()
    await shop.feed(events[600:])
    assert shop.sums("next_purchase:v2~v1").asked > 0, "the one before goes on beside it"
    assert shop.sums("next_purchase:v1~v2") == found


async def test_a_shadow_that_is_late_or_fails_is_counted_and_delays_little(
    shop: Shop, events: list[Event]
) -> None:
    for scorer in shop.worker.slots.scorers.values():
        if scorer.slot.name == NAME:
            await scorer.host.look()
    slow = Path(shop.settings.model_store) / NAME / "v2"
    put_model(slow, "v2", 0.5, takes_s=0.3)
    shop.worker.slots.shadows._shadows[NAME].grace_s = 0.01
    shop.step(NAME, StepKind.CANDIDATE, "v2")
    shop.step(NAME, StepKind.SHADOW, "v2")
    await shop.worker.slots.shadows.look()
    await shop.feed(events[:300])
    found = shop.sums("next_purchase:v1~v2")
    assert found.asked == found.late > 0
    assert not found.answers
    put_model(slow, "v3", 2.0)  # its calls fail
    await shop.worker.slots.shadows.look()
    assert shop.worker.slots.scorers[NAME].state == "ok"
