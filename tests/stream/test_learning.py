"""The stream learns from what visitors did: with the commit, once, and the same whoever computes it."""

import copy
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pytest

from contracts.events import Event
from contracts.heartbeat import NEXT_ACTION
from contracts.key_families import LEARNED, QUALITY_BUCKETS, family_of
from contracts.settings import Settings
from contracts.visitor import Visitor, unpack_visitor
from cores import core_named
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from models.next_action.actions import LEAVE_TARGET, TARGETS
from models.online.blob import Learned, add_up, pack_learned, unpack_learned
from models.online.kept import Kept, answers_of, keep, weight_of
from models.online.publishing import Source, source_of
from models.online.records import RECORD, read_records
from models.online.sums import sums_in
from models.quality import Quality, by_version
from models.quality import add_up as add_up_counts
from producers.simulator.simulation import SimulationConfig, simulate
from shoppers import RULES, make_action
from slot_scorer import FixedModel
from stream.batch.core import PYTHON, Core
from stream.registry import make_registry
from stream.scoring.learner import Learner
from stream.scoring.next_action import MOST_KEPT_PER_S
from stream.scoring.sampler import Sampler
from stream.visitors.session import absorb

SETTINGS = Settings(partitions=3, idle_ms=120_000, disorder_ms=1_000)
FROM_MS = 1_759_276_800_000
KEY = LEARNED + NEXT_ACTION
CHUNK = 40


@pytest.fixture(scope="module")
def events() -> list[Event]:
    config = SimulationConfig(FROM_MS, rate=1.0, visitors=200)
    return list(islice(simulate(config, seed=4), 2_400))


class Shop:
    """A worker in memory that is asked with one model about everybody."""

    def __init__(self, settings: Settings = SETTINGS, core: Core = PYTHON) -> None:
        self.settings, self.core = settings, core
        self.kafka, self.store = MemoryLog(settings.partitions), WatchedStore(settings)
        self.start()

    def start(self) -> None:
        """A worker that knows nothing but what is stored."""
        registry = make_registry(self.settings)
        self.worker = MemoryWorker(self.settings, registry, self.kafka, self.store, self.core)
        self.worker.slots.scorers[NEXT_ACTION].host.take_up(FixedModel())

    async def feed(self, events: Sequence[Event]) -> None:
        """Let events come in order, a few at a time."""
        for at in range(0, len(events), CHUNK):
            for event in events[at : at + CHUNK]:
                self.kafka.send(event)
            await self.worker.read()

    def stored(self) -> list[Learned]:
        """What every partition has learnt, as it lies in the store."""
        parts = self.store.partitions.values()
        return [unpack_learned(part.values[KEY]) for part in parts if KEY in part.values]

    def judged(self) -> int:
        """Next actions judged as of the counters."""
        buckets = [
            {name: int(count) for name, count in part.hash(f"{QUALITY_BUCKETS}{key}").items()}
            for part in self.store.partitions.values()
            for key in part.names(QUALITY_BUCKETS)
            if key.startswith(":minute:")
        ]
        counts = by_version(add_up_counts(buckets)).get("v1", {})
        return sum(n for name, n in counts.items() if name.startswith(Quality.CONFUSION))

    def visitors(self) -> Iterator[Visitor]:
        """Every visitor as stored."""
        for part in self.store.partitions.values():
            yield from (unpack_visitor(part.values["v:" + name]) for name in part.names("v:"))

    def learnt(self) -> tuple[int, int]:
        """Answers learnt by task."""
        total = sums_in(add_up(self.stored(), "v1").vector).total_judged
        return round(total[0]), round(total[1])

    def close(self) -> None:
        """Let the model's threads end."""
        self.worker.slots.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


async def test_what_visitors_did_is_learnt_and_published(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events)
    next_actions, purchases = shop.learnt()
    assert 300 < next_actions <= purchases <= shop.judged()
    pooled = sums_in(add_up(shop.stored(), "v1").vector)
    assert source_of(pooled, 0) is Source.MIXTURE
    said = {visitor.predictions.score for visitor in shop.visitors()}
    assert len({score.probabilities for score in said if score is not None}) > 20, "the model says one thing"
    model, mixture = (pooled.total_losses[place, 0] / pooled.total_judged[0] for place in (1, -1))
    assert mixture < model - 0.1
    family = family_of(KEY)
    assert family is not None
    assert not family.names_visitors


async def test_learning_can_be_switched_off(events: list[Event]) -> None:
    shop = Shop(SETTINGS.model_copy(update={"learning": False}))
    await shop.feed(events[:600])
    assert not shop.stored()
    assert not any(visitor.extra for visitor in shop.visitors())
    said = {visitor.predictions.score for visitor in shop.visitors()}
    assert {score.purchase for score in said if score is not None} == {0.4}
    shop.close()


async def test_both_cores_learn_the_same_to_the_byte(events: list[Event]) -> None:
    shops = [Shop(core=PYTHON), Shop(core=core_named("compiled"))]
    for shop in shops:
        await shop.feed(events[:800])
        shop.close()
    one, other = ([pack_learned(learned) for learned in shop.stored()] for shop in shops)
    assert len(one) == SETTINGS.partitions
    assert one == other


async def test_the_next_worker_goes_on_where_the_stored_state_ends(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events[:800])
    before, learnt = shop.stored(), shop.learnt()
    shop.close()
    shop.start()
    await shop.worker.claim()
    for part, learned in zip(shop.worker.assignment.partitions.values(), before, strict=True):
        state = part.states["learning"]
        np.testing.assert_array_equal(state.learned.vector, learned.vector)
        assert state.learned[1:] == learned[1:]
        assert not state.waiting
    await shop.feed(events[800:])
    assert shop.learnt() > learnt
    assert shop.learnt()[0] <= shop.judged()


async def test_a_store_that_comes_back_older_is_learnt_from_again_and_not_twice(
    shop: Shop, events: list[Event]
) -> None:
    await shop.feed(events[:600])
    older = copy.deepcopy(shop.store.partitions)
    await shop.feed(events[600:1_000])
    further = shop.learnt()
    shop.store.partitions.clear()
    shop.store.partitions.update(older)
    assert shop.learnt() < further
    await shop.feed(events[1_000:])
    assert shop.learnt()[0] <= shop.judged()
    assert shop.learnt() > further
    for part in shop.worker.assignment.partitions.values():
        # In memory there are 64 bits, in the store 32.
        stored = unpack_learned(shop.store.partitions[part.number].values[KEY])
        np.testing.assert_allclose(part.states["learning"].learned.vector, stored.vector, rtol=1e-6)


async def test_what_cannot_be_read_is_learnt_anew(
    shop: Shop, events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    await shop.feed(events[:600])
    shop.close()
    for part in shop.store.partitions.values():
        part.values[KEY] = b"spoiled"
    shop.start()
    await shop.feed(events[600:1_200])
    assert "begins anew" in caplog.text
    assert 0 < shop.learnt()[0] < shop.judged()


async def test_other_workers_partitions_are_read_from_the_store(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events)
    registry = make_registry(SETTINGS)
    *_, learner = registry.slots[NEXT_ACTION].companions
    assert isinstance(learner, Learner)
    learner.begin("v1")
    assert not learner.pooled[1].sums.judged.any()
    await learner.read(shop.store, range(SETTINGS.partitions))
    learner.begin("v1")
    expected = sums_in(add_up(shop.stored(), "v1").vector)
    np.testing.assert_allclose(learner.pooled[1].sums.total_judged, expected.total_judged)


async def test_another_model_is_mixed_anew(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events[:1_000])
    assert {learned.version for learned in shop.stored()} == {"v1"}
    shop.worker.slots.scorers[NEXT_ACTION].host.take_up(FixedModel("v2"))
    await shop.feed(events[1_000:])
    assert {learned.version for learned in shop.stored()} == {"v2"}
    pooled = sums_in(add_up(shop.stored(), "v2").vector)
    assert 0 < pooled.total_judged[0] < pooled.rates[:5].sum()


def keep_all(kinds: str) -> tuple[Kept, Visitor]:
    """What is kept of a session of these actions (v, c, p), each predicted after, and its last state."""
    names = {"v": "view", "c": "cart", "p": "purchase"}
    kept, visitor = None, None
    record = np.zeros(1, dtype=RECORD).tobytes()
    for at, kind in enumerate(kinds):
        visitor, _ = absorb(visitor, [make_action(names[kind], at, f"p{at}")], RULES.session)
        kept = keep(kept, visitor, "v1", record)
    assert kept is not None
    assert visitor is not None
    return kept, visitor


def test_answers_are_what_followed_each_prediction() -> None:
    ended = answers_of(*keep_all("vcpvv"))
    assert ended is not None
    view, cart, purchase = (TARGETS.index(name) for name in ("view", "cart", "purchase"))
    assert ended.targets == (cart, purchase, view, view, LEAVE_TARGET)
    assert ended.buys == (1, 1, 0, 0, 0)


def test_long_sessions_are_thinned_out_and_those_kept_stand_for_the_others() -> None:
    kept, visitor = keep_all("v" * 30)
    records = read_records(kept[2])
    assert records["actions"].tolist() == [*range(1, 9), *range(10, 25, 2), 28]
    assert records["weight"].tolist() == [1] * 8 + [2] * 8 + [4]
    assert sum(weight_of(actions) for actions in range(1, 57)) == 56
    assert answers_of((kept[0] + 1, *kept[1:]), visitor) is None, "of another session"


def test_under_load_a_share_of_the_visitors_is_kept() -> None:
    sampler = Sampler(MOST_KEPT_PER_S)
    for at_ms in range(1_000_000, 1_003_000, 20):
        sampler.see(10 * MOST_KEPT_PER_S // 50, at_ms)
    assert sampler.share == pytest.approx(0.1, rel=0.2)
    names = [f"u{number}" for number in range(2_000)]
    few = {name for name in names if sampler.chooses(name)}
    assert len(few) / len(names) == pytest.approx(sampler.share, rel=0.2)
    for at_ms in range(1_003_000, 1_006_000, 20):
        sampler.see(1, at_ms)
    assert sampler.share == 1
    assert all(sampler.chooses(name) for name in names)
