"""Scores come with the batch, or not at all: a model that is slow, broken or absent holds nothing up."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.scores import round_score
from models.artefacts.card import CARD_FILE, MODEL_FILE
from models.artefacts.source import ArtefactFolder
from models.next_action.model import Model
from models.next_action.prices import UNKNOWN_LEVEL
from shoppers import NOW_MS, Shop, make_entries, make_event
from slot_scorer import FixedModel, NextActionScorer, make_scorer
from stream.scoring.slots import AskedVisitor


@pytest.fixture
def scorer() -> Iterator[NextActionScorer]:
    scorer = make_scorer(time_limit_s=0.2)
    yield scorer
    scorer.host.close()


def make_visitors(*names: str, actions: int = 1) -> dict[str, AskedVisitor]:
    shop = Shop()
    shop.apply(make_entries([make_event("view", i, user=name) for name in names for i in range(actions)]))
    return {name: AskedVisitor(name, shop.visitors[name], UNKNOWN_LEVEL) for name in names}


async def test_every_visitor_is_scored_as_of_the_last_action(scorer: NextActionScorer) -> None:
    scorer.host.take_up(FixedModel())
    scores = await scorer.score(make_visitors("u1", "u2", actions=3))
    assert scores.keys() == {"u1", "u2"}
    score = scores["u1"].score
    assert (score.version, score.at_ms, score.actions, score.session) == ("v1", NOW_MS + 2_000, 3, 1)
    assert score.probabilities == pytest.approx((0.5, 0.2, 0.1, 0.1, 0.1))
    assert score.reasons == (("cart", -0.5),)
    assert scorer.state == "ok"


async def test_visitors_of_like_length_are_asked_about_together(scorer: NextActionScorer) -> None:
    scorer.host.take_up(model := FixedModel())
    few = make_visitors(*[f"a{i}" for i in range(200)])
    await scorer.score(few | make_visitors("long", actions=20))
    assert sorted(model.widths) == [(6, 20), (195, 1)], "a little more of padding is less than another call"


async def test_every_visitor_gets_the_own_score_from_whichever_call_it_came(scorer: NextActionScorer) -> None:
    scorer.host.take_up(model := FixedModel(purchase_per_action=0.01))
    wanted: dict[str, AskedVisitor] = {}
    for place in range(100):
        wanted |= make_visitors(f"u{place}", actions=1 + place * 7 % 20)
    scores = await scorer.score(wanted)
    assert len(model.widths) > 1
    assert {name: answer.score.purchase for name, answer in scores.items()} == {
        f"u{place}": pytest.approx((1 + place * 7 % 20) / 100) for place in range(100)
    }


async def test_with_little_time_those_come_first_whom_it_matters_for(scorer: NextActionScorer) -> None:
    scorer.host.take_up(FixedModel(slow_s=0.0002))
    shop = Shop()
    names = [f"u{place}" for place in range(300)]
    shop.apply(make_entries([make_event("view", 0, user=name) for name in names]))
    shop.apply(make_entries([make_event("cart", 1, user=name) for name in names[::20]]))
    shop.apply(make_entries([make_event("view", 2, user=name) for name in names[1::20]]))
    wanted = {name: AskedVisitor(name, shop.visitors[name], UNKNOWN_LEVEL) for name in names}
    for _ in range(3):  # what an answer takes has to be known
        scores = await scorer.score(wanted, 0.01)
    assert 16 <= len(scores) < 300
    assert set(names[::20]) <= scores.keys()
    more = set(names[1::20])
    assert more <= scores.keys() or len(scores) < 30, "then who has done more"
    assert scorer._meter.left_out.keys() == {"other"}
    assert scorer._meter.skipped == sum(scorer._meter.left_out.values())
    assert scorer.state == "ok", "to leave somebody out is no trouble of the model"
    assert len(await scorer.score(wanted)) == 300, "without a limit nobody is left out"


async def test_a_long_wait_for_each_call_is_not_taken_for_the_cost_of_visitors(
    scorer: NextActionScorer,
) -> None:
    scorer.host.take_up(FixedModel(wait_s=0.03))
    wanted = make_visitors(*[f"u{place}" for place in range(120)])
    for _ in range(12):
        scores = await scorer.score(wanted, 0.02)
    assert len(scores) == 120, "a call of all of them takes hardly longer than one of a few"


async def test_scores_are_rounded_as_they_are_kept(scorer: NextActionScorer) -> None:
    scorer.host.take_up(FixedModel(purchase=0.123456))
    score = (await scorer.score(make_visitors("u1")))["u1"].score
    assert score.purchase == 0.1235
    assert round_score(score) == score


async def test_one_bad_call_among_several_leaves_all_unscored(scorer: NextActionScorer) -> None:
    scorer.host.take_up(FixedModel(longest=1))
    few = make_visitors(*[f"a{i}" for i in range(60)])
    assert await scorer.score(few | make_visitors("long", actions=5)) == {}
    assert scorer.state == "the model failed: RuntimeError"


async def test_without_a_model_visitors_are_counted_as_skipped(scorer: NextActionScorer) -> None:
    assert await scorer.score(make_visitors("u1")) == {}
    assert scorer.state == "off"


async def test_a_slow_model_is_not_waited_for_and_asked_again_once_it_has_answered(
    scorer: NextActionScorer,
) -> None:
    scorer.host.take_up(model := FixedModel())
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


async def test_a_model_that_is_late_again_is_left_alone_for_a_while(scorer: NextActionScorer) -> None:
    scorer.host.take_up(model := FixedModel())
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


async def test_a_model_that_never_answers_is_replaced_by_the_next(scorer: NextActionScorer) -> None:
    scorer.host.take_up(stuck := FixedModel())
    stuck.gate.clear()
    wanted = make_visitors("u1")
    behind = asyncio.gather(scorer.score(wanted), scorer.score(wanted))
    await asyncio.sleep(0)
    scorer.host.take_up(FixedModel("v2"))
    assert {answer.score.version for answer in (await scorer.score(wanted)).values()} == {"v2"}
    assert [*await behind] == [{}, {}]
    assert scorer.state == "ok", "what is late of the old model says nothing about the new one"
    assert (await scorer.score(wanted)).keys() == {"u1"}
    stuck.gate.set()


async def test_a_model_that_fails_or_answers_nonsense_is_left_alone_for_a_while(
    scorer: NextActionScorer,
) -> None:
    scorer.host.take_up(model := FixedModel(purchase=float("nan")))
    wanted = make_visitors("u1")
    assert await scorer.score(wanted) == {}
    assert scorer.state == "the model failed: ArithmeticError"
    model._purchase = 0.4
    assert await scorer.score(wanted) == {}
    scorer._rest_until_s = 0.0
    assert (await scorer.score(wanted)).keys() == {"u1"}


async def test_a_model_that_takes_the_place_of_a_failing_one_is_asked_at_once(
    scorer: NextActionScorer,
) -> None:
    scorer.host.take_up(FixedModel(purchase=float("nan")))
    wanted = make_visitors("u1")
    assert await scorer.score(wanted) == {}
    scorer.host.take_up(FixedModel("v2"))
    assert (await scorer.score(wanted)).keys() == {"u1"}


async def test_a_new_version_is_taken_up_and_a_bad_one_refused(tmp_path: Path) -> None:
    def load(folder: Path) -> Model:
        version = (folder / MODEL_FILE).read_text()
        if version == "bad":
            raise ValueError("golden outputs differ")
        if version == "mad":
            raise KeyError("bins")
        return FixedModel(version)

    def put(version: str) -> None:
        (tmp_path / MODEL_FILE).write_text(version)
        (tmp_path / CARD_FILE).write_text("{}")

    refusals: list[str] = []
    made = make_scorer(source=ArtefactFolder(tmp_path, load), on_refusal=lambda: refusals.append(made.state))
    host = made.host
    put("one")
    await host.look()
    assert host.version == "one"
    put("bad")
    await host.look()
    assert host.version == "one"
    assert made.state == "a new model was rejected: golden outputs differ"
    put("mad")
    await host.look()
    assert host.version == "one"
    assert made.state == "a new model was rejected: KeyError('bins')"
    put("second")
    await host.look()
    assert host.version == "second"
    assert made.state == "ok"
    assert len(refusals) == 2
    host.close()
