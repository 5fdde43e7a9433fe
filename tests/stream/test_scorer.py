"""Scores come with the batch, or not at all: a model that is slow, broken or absent holds nothing up."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from contracts.scores import round_score
from contracts.visitor import Visitor
from models.next_action.prices import UNKNOWN_LEVEL, PriceLevel
from shoppers import NOW_MS, SETTINGS, Shop, make_entries, make_event
from stream.runtime.metrics import Meter
from stream.scoring.model_watch import ModelWatch
from stream.scoring.scorer import Scorer


class FixedModel:
    """A model that says the same of everybody, once its gate is open, and fails over too long sessions.

    With `purchase_per_action` the chance of a purchase is that for each action instead.
    """

    def __init__(
        self,
        version: str = "v1",
        *,
        purchase: float = 0.4,
        purchase_per_action: float = 0.0,
        longest: int | None = None,
        reads_ids: bool = False,
    ) -> None:
        self.version = version
        self.reads_ids = reads_ids
        self.ids: list[npt.NDArray[np.int64] | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.widths: list[tuple[int, int]] = []
        self._purchase = purchase
        self._per_action = purchase_per_action
        self._longest = longest

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        assert len(lengths) == len(context) == len(steps)
        self.gate.wait(10.0)
        self.widths.append((len(steps), steps.shape[1]))
        self.ids.append(ids)
        if self._longest is not None and steps.shape[1] > self._longest:
            raise RuntimeError("too long")
        rows = np.tile(np.array([0.5, 0.2, 0.1, 0.1, 0.1], dtype=np.float32), (len(steps), 1))
        if self._per_action:
            return rows, lengths.astype(np.float32) * np.float32(self._per_action)
        return rows, np.full(len(steps), self._purchase, dtype=np.float32)

    def reasons(self, context: npt.NDArray[np.float32]) -> Sequence[Sequence[tuple[str, float]]]:
        return [[("cart", -0.5)] for _ in context]


@pytest.fixture
def scorer() -> Iterator[Scorer]:
    scorer = Scorer(Meter(), idle_ms=SETTINGS.idle_ms, time_limit_s=0.2)
    yield scorer
    scorer.close()


def make_visitors(*names: str, actions: int = 1) -> dict[str, tuple[Visitor, PriceLevel]]:
    shop = Shop()
    shop.apply(make_entries([make_event("view", i, user=name) for name in names for i in range(actions)]))
    return {name: (shop.visitors[name], UNKNOWN_LEVEL) for name in names}


async def test_every_visitor_is_scored_as_of_the_last_action(scorer: Scorer) -> None:
    scorer.model = FixedModel()
    scores = await scorer.score(make_visitors("u1", "u2", actions=3))
    assert scores.keys() == {"u1", "u2"}
    score = scores["u1"]
    assert (score.version, score.at_ms, score.actions, score.session) == ("v1", NOW_MS + 2_000, 3, 1)
    assert score.probabilities == pytest.approx((0.5, 0.2, 0.1, 0.1, 0.1))
    assert score.reasons == (("cart", -0.5),)
    assert scorer.state == "ok"


async def test_visitors_of_like_length_are_asked_about_together(scorer: Scorer) -> None:
    scorer.model = model = FixedModel()
    few = make_visitors(*[f"a{i}" for i in range(200)])
    await scorer.score(few | make_visitors("long", actions=20))
    assert model.widths == [(29, 1)] * 6 + [(27, 20)]


async def test_every_visitor_gets_the_own_score_from_whichever_call_it_came(scorer: Scorer) -> None:
    scorer.model = model = FixedModel(purchase_per_action=0.01)
    wanted: dict[str, tuple[Visitor, PriceLevel]] = {}
    for place in range(100):
        wanted |= make_visitors(f"u{place}", actions=1 + place * 7 % 20)
    scores = await scorer.score(wanted)
    assert len(model.widths) > 1
    assert {name: score.purchase for name, score in scores.items()} == {
        f"u{place}": pytest.approx((1 + place * 7 % 20) / 100) for place in range(100)
    }


async def test_scores_are_rounded_as_they_are_kept(scorer: Scorer) -> None:
    scorer.model = FixedModel(purchase=0.123456)
    score = (await scorer.score(make_visitors("u1")))["u1"]
    assert score.purchase == 0.1235
    assert round_score(score) == score


async def test_one_bad_call_among_several_leaves_all_unscored(scorer: Scorer) -> None:
    scorer.model = FixedModel(longest=1)
    few = make_visitors(*[f"a{i}" for i in range(60)])
    assert await scorer.score(few | make_visitors("long", actions=5)) == {}
    assert scorer.state == "the model fails: RuntimeError"


async def test_without_a_model_visitors_are_counted_as_skipped(scorer: Scorer) -> None:
    assert await scorer.score(make_visitors("u1")) == {}
    assert scorer.state == "off"


async def test_a_slow_model_is_not_waited_for_and_asked_again_once_it_has_answered(scorer: Scorer) -> None:
    scorer.model = model = FixedModel()
    model.gate.clear()
    wanted = make_visitors("u1")
    assert await scorer.score(wanted) == {}
    assert "longer than 0.2 s" in scorer.state
    assert await scorer.score(wanted) == {}, "the model is still busy"
    late = scorer._late
    assert late is not None
    model.gate.set()
    await late
    assert (await scorer.score(wanted)).keys() == {"u1"}
    assert scorer.state == "ok"


async def test_a_model_that_is_late_again_is_left_alone_for_a_while(scorer: Scorer) -> None:
    scorer.model = model = FixedModel()
    wanted = make_visitors("u1")
    for _ in range(2):
        model.gate.clear()
        assert await scorer.score(wanted) == {}
        late = scorer._late
        assert late is not None
        model.gate.set()
        await late
    assert await scorer.score(wanted) == {}, "it would hold up this round too"
    scorer._rest_until_s = 0.0
    assert (await scorer.score(wanted)).keys() == {"u1"}


async def test_a_model_that_never_answers_is_replaced_by_the_next(scorer: Scorer) -> None:
    scorer.model = stuck = FixedModel()
    stuck.gate.clear()
    wanted = make_visitors("u1")
    behind = asyncio.gather(scorer.score(wanted), scorer.score(wanted))
    await asyncio.sleep(0)
    scorer.take_up(FixedModel("v2"))
    assert {score.version for score in (await scorer.score(wanted)).values()} == {"v2"}
    assert await behind == [{}, {}]
    assert scorer.state == "ok", "what is late of the old model says nothing about the new one"
    assert (await scorer.score(wanted)).keys() == {"u1"}
    stuck.gate.set()


async def test_a_model_that_fails_or_answers_nonsense_is_left_alone_for_a_while(scorer: Scorer) -> None:
    scorer.model = FixedModel(purchase=float("nan"))
    wanted = make_visitors("u1")
    assert await scorer.score(wanted) == {}
    assert scorer.state == "the model fails: ArithmeticError"
    scorer.model = FixedModel()
    assert await scorer.score(wanted) == {}
    scorer._rest_until_s = 0.0
    assert (await scorer.score(wanted)).keys() == {"u1"}


async def test_a_new_version_is_taken_up_and_a_bad_one_refused(scorer: Scorer, tmp_path: Path) -> None:
    def load(folder: Path) -> FixedModel:
        version = (folder / "model").read_text()
        if version == "bad":
            raise ValueError("golden outputs differ")
        if version == "mad":
            raise KeyError("bins")
        return FixedModel(version)

    def versions() -> str:
        return "" if scorer.model is None else scorer.model.version

    watch = ModelWatch(tmp_path, load, scorer, Meter())
    (tmp_path / "model").write_text("one")
    await watch.look()
    assert versions() == "one"
    (tmp_path / "model").write_text("bad")
    await watch.look()
    assert versions() == "one"
    assert scorer.state == "a new model was refused: golden outputs differ"
    (tmp_path / "model").write_text("mad")
    await watch.look()
    assert versions() == "one"
    assert scorer.state == "a new model was refused: KeyError('bins')"
    (tmp_path / "model").write_text("second")
    await watch.look()
    assert versions() == "second"
    assert scorer.state == "ok"
