"""The benchmark of scoring scores every visitor, with the same network in both engines."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.calls import LIMITS, ROUNDS, count_calls, measure_calls
from benchmarks.core import STEPS_WITH_SCORING, measure_core
from benchmarks.scoring import BATCHES, ENGINES, STEPS, load_model, measure_scoring
from benchmarks.visitors import FEWEST, MOST, ScoredVisitor, make_scored_visitors, mean_actions
from contracts.settings import Settings
from models.next_action.encoding import encode_visitor, stack
from models.next_action.predictor import Predictor
from stream.batch.core import PYTHON
from stub_model import write_model

pytestmark = pytest.mark.slow

SETTINGS = Settings()


@pytest.fixture(scope="module")
def visitors() -> list[ScoredVisitor]:
    return make_scored_visitors(SETTINGS, 40, events=1_000)


@pytest.fixture
def model(tmp_path: Path) -> Predictor:
    write_model(tmp_path / "model")
    return load_model(Settings(model_dir=str(tmp_path / "model")))


def test_visitors_have_sessions_worth_scoring_and_are_the_same_every_time(
    visitors: list[ScoredVisitor],
) -> None:
    assert all(FEWEST <= subject.actions <= MOST for subject in visitors)
    assert len({subject.actions for subject in visitors}) > 1
    assert make_scored_visitors(SETTINGS, 40, events=1_000) == visitors
    assert FEWEST < mean_actions(visitors) < MOST


def test_too_few_visitors_are_an_error() -> None:
    with pytest.raises(ValueError, match="10 events give"):
        make_scored_visitors(SETTINGS, 40, events=10)


def test_every_size_of_batch_has_every_step(visitors: list[ScoredVisitor], model: Predictor) -> None:
    steps: list[int] = []
    found = measure_scoring(SETTINGS, model, visitors, runs=1, progress=steps.append)
    assert [row.batch for row in found.rows] == list(BATCHES)
    assert sum(steps) == 2 * len(BATCHES)
    assert found.version == model.version
    for row in found.rows:
        assert tuple(row.us) == STEPS
        assert row.engines_us == {}
        assert np.isnan(row.ratio)


def test_both_engines_run_one_network(visitors: list[ScoredVisitor], model: Predictor) -> None:
    pytest.importorskip("torch", reason="the engines are compared with torch")
    pytest.importorskip("onnx", reason="the network is exported with onnx")
    from benchmarks.engines import LARGEST_DIFFERENCE, BothEngines

    engines = BothEngines(visitors, SETTINGS.idle_ms)
    batch = stack([encode_visitor(*subject, SETTINGS.idle_ms) for subject in visitors[:5]])
    for left, right in zip(engines.run_onnx(batch), engines.run_torch(batch), strict=True):
        assert left.shape == right.shape
        assert np.abs(left - right).max() < LARGEST_DIFFERENCE
    found = measure_scoring(SETTINGS, model, visitors, runs=1, progress=lambda _: None, engines=engines)
    assert all(tuple(row.engines_us) == ENGINES for row in found.rows)
    assert found.parameters == engines.parameters


def test_the_pure_steps_score_every_visitor_of_a_commit(model: Predictor) -> None:
    row = measure_core(SETTINGS, PYTHON, events=300, batch=40, model=model)
    assert tuple(row.us) == STEPS_WITH_SCORING
    assert row.scored == round(row.visitor_writes * row.events)


def test_calls_are_fewer_the_more_padding_they_may_have(
    visitors: list[ScoredVisitor], model: Predictor
) -> None:
    batch = stack([encode_visitor(*visitor, SETTINGS.idle_ms) for visitor in visitors])
    us = measure_calls(model, batch, runs=1, progress=lambda _: None)
    assert us.keys() == set(ROUNDS)
    for counts in count_calls(batch).values():
        assert list(counts) == list(LIMITS)
        assert sorted(counts.values(), reverse=True) == list(counts.values())
        assert counts[LIMITS[-1]] == 1.0
