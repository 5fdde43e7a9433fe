"""What is counted of items: with the commit, once, bounded, and read by models as they were trained on it."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pytest

from contracts.events import Event
from contracts.heartbeat import NEXT_ACTION
from contracts.key_families import ITEM_COUNTS, family_of
from contracts.settings import Settings
from contracts.visitor import unpack_visitor
from cores import core_named
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from models.next_action.item_counts import ItemCounts, pack_counts, read_counts
from models.next_action.predictor import Floats, Ints
from models.next_action.prefixes import actions_by_visitor
from models.next_action.rates import NOTHING, RATE_FEATURES, SHOP, Funnel, rates_by_action
from producers.simulator.simulation import SimulationConfig, simulate
from shoppers import NEW, make_event
from slot_scorer import FixedModel
from stream.batch.core import PYTHON, Core
from stream.batch.counts import Counts
from stream.batch.result import BatchResult
from stream.components.component import Applied
from stream.components.items import LARGEST, Items, PartitionItems, read_items
from stream.registry import make_registry
from stream.scoring.item_pool import ItemPool
from stream.scoring.next_action import NextActionSlot
from stream.visitors.session import KEEP_ACTIONS

SETTINGS = Settings(partitions=3, idle_ms=120_000, disorder_ms=1_000, learning=False)
FROM_MS = 1_759_276_800_000
CHUNK = 40
WIDTH = len(RATE_FEATURES)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    config = SimulationConfig(FROM_MS, rate=1.0, visitors=200)
    return list(islice(simulate(config, seed=4), 1_200))


class RatesModel(FixedModel):
    """Remembers the rates that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.reads_rates = True
        self.rates: list[list[float]] = []

    def predict(
        self, steps: Floats, lengths: Ints, context: Floats, ids: Ints | None = None
    ) -> tuple[Floats, Floats]:
        self.rates += context[:, -WIDTH:].tolist()
        return super().predict(steps, lengths, context, ids)


class Shop:
    """A worker in memory."""

    def __init__(self, settings: Settings = SETTINGS, core: Core = PYTHON) -> None:
        self.settings, self.core = settings, core
        self.kafka, self.store = MemoryLog(settings.partitions), WatchedStore(settings)
        self.model = RatesModel()
        self.start()

    def start(self) -> None:
        """A worker that knows nothing but what is stored."""
        self.registry = make_registry(self.settings, self.core)
        self.worker = MemoryWorker(self.settings, self.registry, self.kafka, self.store, self.core)
        self.worker.slots.scorers[NEXT_ACTION].host.take_up(self.model)

    async def feed(self, events: Sequence[Event], *, at_once: int = CHUNK) -> None:
        """Let events come in order, a few at a time."""
        for at in range(0, len(events), at_once):
            for event in events[at : at + at_once]:
                self.kafka.send(event)
            await self.worker.read()

    def stored(self) -> list[dict[str, ItemCounts]]:
        """What every partition has counted, as it lies in the store."""
        return [read_items(part.hash(ITEM_COUNTS)) for part in self.store.partitions.values()]

    def pooled(self) -> dict[str, Funnel]:
        """All partitions together."""
        found: dict[str, Funnel] = {}
        for counts in self.stored():
            for name, item in counts.items():
                found[name] = found.get(name, NOTHING).joined(item.funnel)
        return found

    def close(self) -> None:
        """Let the model's threads end."""
        self.worker.slots.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


def counted(events: Sequence[Event]) -> dict[str, Funnel]:
    """What these events come to, by name, one after the other."""
    found: dict[str, Funnel] = {}
    for actions in actions_by_visitor(events).values():
        for action in actions:
            for name in (SHOP, "p" + action.product_id, "c" + (action.category or "")):
                if len(name) > 1 or name == SHOP:
                    found[name] = found.get(name, NOTHING).after(action.rank)
    return {name: funnel for name, funnel in found.items() if funnel != NOTHING}


def batch_of(**numbers: int) -> Applied[None]:
    """A batch in which products were viewed so often."""
    counts = Counts({0: (numbers, {}, {}, {}, {})})
    return Applied(NEW, counts, {}, [], {})


@pytest.mark.parametrize("core", ["python", "compiled"])
async def test_every_action_is_counted_once(events: list[Event], core: str) -> None:
    shop = Shop(core=core_named(core))
    await shop.feed([*events, *events[-100:]])  # some come twice
    assert shop.pooled() == counted(events)
    assert any(name.startswith("c") for name in shop.pooled())
    shop.close()


async def test_the_next_worker_goes_on_where_the_stored_state_ends(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events[:600])
    shop.close()
    shop.start()
    await shop.feed(events[600:])
    assert shop.pooled() == counted(events)


async def test_a_store_that_comes_back_older_is_counted_again_and_not_twice(
    shop: Shop, events: list[Event]
) -> None:
    await shop.feed(events[:600])
    older = copy.deepcopy(shop.store.partitions)
    await shop.feed(events[600:800])
    shop.store.partitions = older
    await shop.feed(events[800:])
    await shop.worker.read()
    assert shop.pooled() == counted(events)


async def test_the_counts_name_no_visitor(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events[:400])
    family = family_of(ITEM_COUNTS)
    assert family is not None
    assert not family.names_visitors
    users = {event.user_id for event in events}
    for part in shop.store.partitions.values():
        fields = part.hash(ITEM_COUNTS)
        assert not {name[1:] for name in fields} & users
        assert all(set(text) <= set("0123456789 ") for text in fields.values())


async def test_rates_are_those_of_training(shop: Shop, events: list[Event]) -> None:
    """One event at a time: then what others did before it is the same in both."""
    some = events[:500]
    await shop.feed(some, at_once=1)
    by_visitor = actions_by_visitor(some)
    expected = rates_by_action(by_visitor.values())
    actions = [action for own in by_visitor.values() for action in own]
    place = {action.digest: place for place, action in enumerate(actions)}
    in_order = [actions_by_visitor([event])[event.user_id][0] for event in some]
    times = Counter(event.event_time_ms for event in some)
    assert len(shop.model.rates) == len(some)
    compared = 0
    for action, found in zip(in_order, shop.model.rates, strict=True):
        if times[action.at_ms] == 1:
            np.testing.assert_allclose(found, expected[place[action.digest]], rtol=1e-6)
            compared += any(found)
    assert compared > 200


async def test_what_a_visitor_did_long_ago_is_like_anybodys(shop: Shop) -> None:
    """Recent actions are taken out, and of the shop all; older ones of the item are in its counts."""
    first = [make_event("view", second, "old", user="me") for second in range(5)]
    later = [make_event("view", 10 + second, "other", user="me") for second in range(2 * KEEP_ACTIONS)]
    last = make_event("view", 500, "old", user="me")
    await shop.feed([*first, *later, last], at_once=1)
    (visitor,) = [
        unpack_visitor(part.values["v:me"])
        for part in shop.store.partitions.values()
        if "v:me" in part.values
    ]
    assert visitor.tail.size < len(first) + len(later)
    assert shop.model.rates[-1][0] < 0, "five views without a cart, and nothing else is known of the shop"
    assert shop.model.rates[4] == [0.0] * WIDTH


async def test_models_that_read_no_rates_are_given_none(shop: Shop, events: list[Event]) -> None:
    widths: list[int] = []

    class Plain(FixedModel):
        def predict(
            self, steps: Floats, lengths: Ints, context: Floats, ids: Ints | None = None
        ) -> tuple[Floats, Floats]:
            widths.append(context.shape[1])
            return super().predict(steps, lengths, context, ids)

    shop.worker.slots.scorers[NEXT_ACTION].host.take_up(Plain())
    await shop.feed(events[:80])
    shop.worker.slots.scorers[NEXT_ACTION].host.take_up(shop.model)
    await shop.feed(events[80:160])
    assert set(widths) == {56}
    assert shop.model.rates


async def test_what_other_workers_count_is_added(shop: Shop, events: list[Event]) -> None:
    await shop.feed(events)
    slot = shop.registry.slots[NEXT_ACTION]
    assert isinstance(slot, NextActionSlot)
    ours = PartitionItems({"pnew": ItemCounts(1, 0, 0, 1)})
    pool = ItemPool(SETTINGS.partitions)
    await pool.read(shop.store, range(SETTINGS.partitions))
    everybody = pool.pooled(ours).funnel
    assert everybody("pnew") == Funnel(1, 0, 0)
    for name, funnel in counted(events).items():
        assert everybody(name) == funnel
    await pool.read(shop.store, [])
    assert pool.pooled(ours).funnel(SHOP) == NOTHING


def test_the_least_viewed_make_room() -> None:
    items = Items(most=8)
    state = items.load({})
    stored: dict[str, str] = {}
    for number in range(60):
        names = {f"hot{n}": 3 for n in range(4)} | {f"rare{number}": 1, f"rare{number + 1}": 1}
        change = items.apply(state, batch_of(**names))
        for write in change.writes:
            stored |= getattr(write, "values", {})
            for name in getattr(write, "names", ()):
                del stored[name]
        state = change.state
        assert len(stored) <= 11  # eight, a quarter more, and the shop
        assert {f"phot{n}" for n in range(4)} < stored.keys()
    assert read_counts(stored["phot1"]).funnel == Funnel(180, 0, 0)
    assert read_counts(stored[SHOP]).funnel == Funnel(60 * 14, 0, 0)
    assert items.load({ITEM_COUNTS: stored}).known == state.settled()


def test_a_batch_that_was_not_stored_leaves_no_trace() -> None:
    items = Items()
    state = items.apply(items.load({}), batch_of(a=1)).state
    lost = items.apply(state, batch_of(a=5, b=5)).state
    again = items.apply(state, batch_of(a=1)).state
    assert lost.funnel("pb") == Funnel(5, 0, 0)
    assert again.funnel("pa") == Funnel(2, 0, 0)
    assert again.funnel("pb") == NOTHING


def test_large_counts_are_halved_together() -> None:
    items = Items()
    full = PartitionItems({"pa": ItemCounts(LARGEST - 1_000, 800, 200, 0)})
    state = items.apply(full, batch_of(a=1)).state
    assert state.funnel("pa") == Funnel((LARGEST - 999) // 2, 400, 100)


def test_what_cannot_be_read_is_counted_anew() -> None:
    state = Items().load({ITEM_COUNTS: {"pa": "3 2 1 20000", "pb": "x", "pc": "1 2 3", "pd": "1 -2 3 4"}})
    assert state.known == {"pa": ItemCounts(3, 2, 1, 20_000)}
    assert pack_counts(state.known["pa"]) == "3 2 1 20000"


def test_a_batch_without_actions_changes_nothing() -> None:
    items = Items()
    result = BatchResult(NEW)
    assert items.apply(items.load({}), Applied(NEW, result.counts, {}, [], {})).state is None
