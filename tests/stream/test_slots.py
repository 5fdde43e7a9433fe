"""A second model slot: asked, judged and watched under its own name, whatever the first one does."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.events import Event
from contracts.visitor import Visitor
from models.next_action.prices import UNKNOWN_LEVEL
from models.quality import add_up, by_version, next_action_figures
from models.slot_quality import SlotFigures, by_slot, slot_figures
from second_slot import NAME, NextPurchaseSlot, put_model
from shoppers import NEW, NOW_MS, SETTINGS, make_entries, make_event
from slot_scorer import FixedModel
from stream.batch.core import PYTHON, Core, choose_core
from stream.batch.result import BatchResult
from stream.batch.step import StepSettings, fire_deadlines
from stream.registry import InvalidCapability, Registry
from stream.runtime.metrics import Meter
from stream.scoring.next_action import NextActionSlot
from stream.scoring.slot_steps import SlotSteps
from stream.scoring.slots import Shop
from stream.visitors.fields import VisitorField

HOUR_MS = 3_600_000


class SlotShop:
    """A partition with both slots, without Kafka and Redis."""

    def __init__(self, folder: Path, core: Core) -> None:
        registry = Registry()
        registry.add_slot(NextActionSlot(SETTINGS.model_copy(update={"learning": False})))
        registry.add_slot(NextPurchaseSlot(folder))
        self.meter = Meter()
        self.slots = SlotSteps(SETTINGS, registry.slots.values(), self.meter)
        self.scorers = self.slots.scorers
        for scorer in self.scorers.values():
            scorer.slot.time_limit_s = 0.2
        self.scorers["next_action"].host.take_up(FixedModel())
        self.visitors: dict[str, Visitor] = {}
        self.counts: dict[str, int] = {}
        self._core = core
        self._settings = StepSettings.of(SETTINGS, keeps_events=registry.keeps_events)
        self._clock = NEW

    async def apply(self, *events: Event) -> BatchResult:
        """Apply, judge, ask and take as a round does."""
        result = self._core.apply_batch(
            self._clock, make_entries(list(events)), self.visitors, self._settings
        )
        self.slots.judge(result)
        (answers,) = await self.slots.ask([result], [Shop(UNKNOWN_LEVEL)])
        self.slots.take(result, answers)
        return self._adopt(result)

    def pass_time(self, until_ms: int) -> BatchResult:
        """Fire the deadlines of everybody."""
        result = fire_deadlines(self._clock, until_ms, list(self.visitors), self.visitors, self._settings)
        self.slots.judge_silence(result)
        return self._adopt(result)

    def figures(self) -> SlotFigures:
        """What came of the second slot's predictions."""
        return slot_figures(by_version(by_slot(self.counts).get(NAME, {})).get("v1", {}))

    def _adopt(self, result: BatchResult) -> BatchResult:
        self._clock = result.clock
        self.visitors |= result.visitors
        self.counts = add_up([self.counts, *result.prediction_results.tally.minutes.values()])
        self.slots.drift.learn(result.prediction_results, at_ms=result.clock.max_event_ms)
        return result


@pytest.fixture(params=["python", "compiled"])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SlotShop]:
    shop = SlotShop(tmp_path, PYTHON if request.param == "python" else choose_core(compiled=True))
    yield shop
    shop.slots.close()


async def load(shop: SlotShop, folder: Path, *model: Any, **kind: Any) -> None:
    put_model(folder, *model, **kind)
    await shop.scorers[NAME].host.look()


async def test_both_slots_are_asked_and_each_judged_under_its_own_name(
    shop: SlotShop, tmp_path: Path
) -> None:
    await load(shop, tmp_path, "v1", 0.25)
    await shop.apply(make_event("view", 0), make_event("view", 0, user="u2"))
    assert not shop.visitors["u1"].extra, "without a cart it is not asked"
    await shop.apply(make_event("cart", 10), make_event("cart", 10, user="u2"))
    assert shop.visitors["u1"].extra == {NAME: [250, NOW_MS + 10_000]}
    await shop.apply(make_event("purchase", 40))
    shop.pass_time(NOW_MS + HOUR_MS)
    assert not shop.visitors["u1"].extra
    assert not shop.visitors["u2"].extra
    found = shop.figures()
    assert (found.n, found.accuracy, found.counts) == (2, 0.5, {"waited_ms": 30_000})
    assert found.mean_loss == pytest.approx((-math.log(0.25) - math.log(0.75)) / 2, abs=1e-6)
    assert shop.visitors["u1"].predictions.score is not None
    bare = by_version(by_slot(shop.counts)[""])["v1"]
    assert next_action_figures(bare).n == 5, "the next action's counters have no prefix"


async def test_reports_have_every_slot(shop: SlotShop, tmp_path: Path) -> None:
    await load(shop, tmp_path, "v1", 0.25)
    await shop.apply(make_event("cart", 0), make_event("view", 1, user="u2"))
    await shop.apply(make_event("purchase", 2))
    first, second = shop.slots.reports()
    assert (first.slot, first.model, first.state, first.scored) == ("next_action", "v1", "ok", 3)
    assert (second.slot, second.model, second.state, second.scored) == (NAME, "v1", "ok", 1)
    assert [line.split()[0] for line in second.drift] == ["error"]
    assert [line.split()[0] for line in first.drift] == ["score", "error"]


@pytest.mark.parametrize(
    ("model", "state"),
    [
        (("v2", 0.5, 0.9), "the model takes longer than 0.2 s"),
        (("v2", 1.5, 0.0), "the model failed: ArithmeticError"),
    ],
)
async def test_trouble_of_one_slot_is_not_the_others(
    shop: SlotShop, tmp_path: Path, model: tuple[str, float, float], state: str
) -> None:
    version, chance, takes_s = model
    await load(shop, tmp_path, version, chance, takes_s=takes_s)
    began_s = time.monotonic()
    for second in range(5):
        result = await shop.apply(make_event("cart", second, f"p{second}"))
        assert result.counters["scored"] == 1
        assert result.counters["applied"] == 1
    first, second_report = shop.slots.reports()
    assert (first.state, first.scored, first.skipped) == ("ok", 5, 0)
    assert (second_report.state, second_report.scored, second_report.skipped) == (state, 0, 5)
    assert time.monotonic() - began_s < 5 * takes_s + 1, "it is waited for once, not in every round"


async def test_a_bad_version_is_refused_and_counted_for_its_slot(shop: SlotShop, tmp_path: Path) -> None:
    await load(shop, tmp_path, "v1", 0.25)
    await load(shop, tmp_path, "v2", -1.0)
    first, second = shop.slots.reports()
    assert (second.model, second.state) == ("v1", "a new model was rejected: a chance is at least 0, got -1")
    assert first.state == "ok"
    registry = shop.meter.registry
    labels = {"slot": NAME}
    assert registry.get_sample_value("storepulse_worker_slot_models_refused_total", labels) == 1
    assert registry.get_sample_value("storepulse_worker_models_refused_total") == 0


async def test_a_slot_that_cannot_judge_costs_nothing_but_its_answers(
    shop: SlotShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    await load(shop, tmp_path, "v1", 0.25)
    await shop.apply(make_event("cart", 0))
    monkeypatch.setattr(shop.scorers[NAME].slot, "judge", fail)
    result = await shop.apply(make_event("view", 1))
    assert result.counters["scored"] == 1
    assert not shop.visitors["u1"].extra
    assert shop.slots.reports()[1].state == "the slot failed: ZeroDivisionError"


async def test_what_is_kept_survives_while_nobody_knows_the_slot(tmp_path: Path) -> None:
    shop = SlotShop(tmp_path, PYTHON)
    await load(shop, tmp_path, "v1", 0.25)
    await shop.apply(make_event("cart", 0))
    kept = shop.visitors["u1"].extra
    result = PYTHON.apply_batch(
        NEW, make_entries([make_event("view", 1)]), shop.visitors, StepSettings.of(SETTINGS)
    )
    assert result.visitors["u1"].extra == kept
    shop.slots.close()


def test_names_of_slots_are_identifiers_and_unique(tmp_path: Path) -> None:
    registry = Registry()
    registry.add_slot(NextPurchaseSlot(tmp_path))
    with pytest.raises(InvalidCapability, match="'next_purchase' is registered already"):
        registry.add_slot(NextPurchaseSlot(tmp_path))
    with pytest.raises(InvalidCapability, match="'next_purchase' is registered already"):
        registry.add_visitor_field(VisitorField(NAME, lambda *_: None))
    odd = NextPurchaseSlot(tmp_path)
    odd.name = "next/purchase"
    with pytest.raises(InvalidCapability, match="must be an identifier, got 'next/purchase'"):
        registry.add_slot(odd)
