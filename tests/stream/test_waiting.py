"""Whom a round has no time to score, and for whom it matters, waits for a later round."""

from collections.abc import Iterator

import pytest

from contracts.alerts import CART_ABANDONED, decode_alert
from contracts.events import Event
from contracts.heartbeat import NEXT_ACTION
from contracts.settings import Settings
from contracts.visitor import Visitor, unpack_visitor
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from shoppers import NEW, NOW_MS, Shop, make_entries, make_event
from slot_scorer import FixedModel
from stream.batch.core import Core
from stream.batch.result import BatchResult
from stream.components.prices import level_of
from stream.registry import make_registry
from stream.scoring import waiting
from stream.scoring.scorer import FEWEST_VISITORS
from stream.scoring.waiting import SUPERSEDED, Queue, Turn, Wait, Waiting

SETTINGS = Settings(partitions=1, scoring_budget_ms=1, learning=False, alert_budgets="")
NAMES = [f"u{number:02}" for number in range(3 * FEWEST_VISITORS)]


class BusyWorker:
    """A worker in memory whose rounds have time for `FEWEST_VISITORS` scores each."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.kafka, self.store = MemoryLog(SETTINGS.partitions), WatchedStore(SETTINGS)
        self.start()

    def start(self) -> None:
        """A worker that knows nothing but what is stored."""
        registry = make_registry(SETTINGS)
        self.worker = MemoryWorker(SETTINGS, registry, self.kafka, self.store, self.core)
        self.scorer = self.worker.slots.scorers[NEXT_ACTION]
        self.scorer.host.take_up(FixedModel(slow_s=0.0002))

    async def apply(self, *events: Event) -> None:
        """Apply events in one batch, and fire the timers that they pass."""
        for event in events:
            self.kafka.send(event)
        await self.worker.read()

    def visitors(self) -> dict[str, Visitor]:
        """Every visitor as stored."""
        values = self.store.partitions[0].values
        return {name: unpack_visitor(values["v:" + name]) for name in self.store.partitions[0].names("v:")}

    def unscored(self) -> set[str]:
        """Visitors whose newest state has no score."""
        return {
            name
            for name, visitor in self.visitors().items()
            if (score := visitor.predictions.score) is None or score.at_ms != visitor.head.last_ms
        }

    def counters(self) -> tuple[int, int, int]:
        """Events applied, visitors scored and visitors skipped, as stored."""
        return tuple(self.store.counter(name) for name in ("applied", "scored", "skipped"))  # type: ignore[return-value]

    @property
    def left_out(self) -> dict[str, int]:
        """As reported, those of whom there are any."""
        return {kind: n for kind, n in self.scorer.report(()).left_out.items() if n}


@pytest.fixture
def shop(core: Core) -> Iterator[BusyWorker]:
    shop = BusyWorker(core)
    yield shop
    shop.worker.slots.close()


def fill_carts(at_s: float = 0, names: list[str] = NAMES) -> list[Event]:
    return [make_event("cart", at_s, user=name) for name in names]


async def test_visitors_with_a_cart_are_scored_in_the_end_and_counted_once(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts(), *[make_event("view", 0, user=f"v{number}") for number in range(5)])
    assert shop.counters() == (53, FEWEST_VISITORS, 53 - FEWEST_VISITORS)
    before = shop.visitors()
    await shop.worker.go_on()
    assert shop.unscored() == {f"v{number}" for number in range(5)}, "they have no cart"
    assert shop.counters() == (53, len(NAMES), 5)
    assert shop.left_out == {"other": 5}
    assert (shop.scorer.report(()).scored, shop.scorer.report(()).skipped) == (len(NAMES), 5)
    for name, visitor in shop.visitors().items():
        same = (visitor.totals, visitor.head, visitor.tail, visitor.seen)
        assert same == (before[name].totals, before[name].head, before[name].tail, before[name].seen)
    steps = [commit.offsets["#timers"] for commit in shop.store.applied]
    assert [end for start, end in steps if end != start] == [0, 1], "a commit for each round of scores alone"
    commits = len(shop.store.applied)
    await shop.worker.go_on()
    assert len(shop.store.applied) == commits, "nobody waits any more"


async def test_who_waits_is_scored_before_those_who_come_later(shop: BusyWorker) -> None:
    early, later = NAMES[:32], NAMES[32:]
    await shop.apply(*fill_carts(names=early))
    waited = shop.unscored()
    await shop.apply(*fill_carts(1, later))
    assert waited.isdisjoint(shop.unscored())
    assert shop.unscored() == set(later)
    assert shop.left_out == {}


async def test_a_later_score_is_what_it_would_have_been_at_once(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts())
    (turn,) = (
        Turn(NEXT_ACTION, [Queue(part.waiting, part.visitors.known)], [BatchResult(NEW)])
        for part in shop.worker.assignment.partitions.values()
    )
    level = level_of(shop.worker.assignment.partitions[0].states, BatchResult(NEW))
    await shop.apply(*[make_event("view", 1, user=f"v{n}", price_minor=90_000) for n in range(5)])
    assert level != level_of(shop.worker.assignment.partitions[0].states, BatchResult(NEW))
    assert {known for _, known in turn.begin(100, lambda _: True).values()} == {level}


async def test_who_acts_again_is_scored_once_as_of_the_newest_action(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts())
    waited = sorted(shop.unscored())
    await shop.apply(*[make_event("view", 5, "p2", user=name) for name in waited])
    await shop.worker.go_on()
    assert shop.unscored() == set()
    assert {shop.visitors()[name].predictions.score.at_ms for name in waited} == {NOW_MS + 5_000}  # type: ignore[union-attr]
    assert shop.left_out == {SUPERSEDED: len(waited)}
    assert shop.counters() == (len(NAMES) + len(waited), len(NAMES), len(waited))


async def test_what_a_silence_decided_goes_by_the_score_that_was_there(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts())
    waited = shop.unscored()
    await shop.apply(make_event("view", 20 * 60, user="other"))
    await shop.worker.go_on()
    left = shop.unscored() - {"other"}
    assert len(left) == len(waited) - FEWEST_VISITORS, "so many were scored before the silence was looked at"
    assert shop.left_out == {"cart": len(left), "other": 1}
    alerts = [decode_alert(entry["value"]) for entry in shop.store.outbox("alerts")]
    abandoned = [alert.subject.id for alert in alerts if alert.kind == CART_ABANDONED]
    assert sorted(abandoned) == NAMES


async def test_who_waits_in_a_worker_that_ends_stays_counted_as_skipped(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts())
    waited = shop.unscored()
    shop.worker.slots.close()
    shop.start()
    await shop.apply()
    await shop.worker.go_on()
    assert shop.unscored() == waited
    assert shop.counters() == (len(NAMES), FEWEST_VISITORS, len(waited))


async def test_while_the_model_fails_nobody_waits_for_it(shop: BusyWorker) -> None:
    await shop.apply(*fill_carts())
    shop.scorer.host.take_up(FixedModel(purchase=float("nan")))
    await shop.worker.go_on()
    assert shop.counters() == (len(NAMES), FEWEST_VISITORS, len(NAMES) - FEWEST_VISITORS)
    assert not shop.worker.assignment.partitions[0].waiting


def test_there_is_room_for_so_many_and_who_is_gone_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_WAITING", 3)
    shop = Shop()
    shop.apply(make_entries(fill_carts()))
    kept = {name: shop.visitors[name] for name in NAMES[:2]}
    queue = Queue(Waiting(), lambda ids: {name: kept[name] for name in ids if name in kept})
    turn = Turn("slot", [queue], [BatchResult(NEW)])
    assert [turn.keep((0, name), Wait(at_s, "cart")) for at_s, name in enumerate(NAMES[:4])] == [True] * 3 + [
        False
    ]
    turn.end()
    turn = Turn("slot", [queue], [BatchResult(NEW)])
    assert [*turn.begin(10, lambda _: True)] == [(0, name) for name in NAMES[:2]]
    turn.end()
    assert turn.left_out["cart"] == 1, "the state of the third is not at hand"
    assert not queue.waiting, "nobody was kept"


def test_those_of_all_partitions_take_turns_by_how_long_they_wait() -> None:
    shop = Shop()
    shop.apply(make_entries(fill_carts()))
    queues = [Queue(Waiting(), lambda ids: {name: shop.visitors[name] for name in ids}) for _ in range(2)]
    for at_s, name in enumerate(NAMES[:6]):
        queues[at_s % 2].waiting.of("slot")[name] = Wait(at_s, "cart")
    turn = Turn("slot", queues, [BatchResult(NEW), BatchResult(NEW)])
    assert {*turn.begin(3, lambda _: True)} == {(0, NAMES[0]), (1, NAMES[1]), (0, NAMES[2])}
