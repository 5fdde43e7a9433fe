"""A network and trees in one graph: it says what both say, blended as in the comparison."""

from dataclasses import replace
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import from_dtype
from typer.testing import CliRunner

from models.artefacts.card import write_artefact
from models.artefacts.host import ModelHost
from models.artefacts.onnx_session import open_session
from models.artefacts.source import ArtefactFolder
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.encoding import MAX_STEPS, Inputs
from models.next_action.evaluation.blend import Blend
from models.next_action.evaluation.contender import Predictions
from models.next_action.evaluation.flat import flat_inputs
from models.next_action.evaluation.trees import BoostedTrees
from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES
from models.next_action.predictor import Prediction, Predictor, load
from models.next_action.training.blend import BlendedTrees, blend
from models.next_action.training.calibration import calibrated, identity
from models.next_action.training.fit import FitConfig, Fitted, logits_of
from models.next_action.training.net_config import BLEND, BUCKETS, KINDS, NET_KINDS
from models.next_action.training.onnx_model import INPUTS, to_onnx
from models.next_action.training.recipe import Trained, recipe_of, scaled_trees, train
from models.next_action.training.tree_table import OPERATOR, TreeTable, round_down
from ops.cli import app
from ops.learning.training import TrainingOptions
from small_training import NAMES, RECIPE, TREES, blended_training, small_cases, small_training

pytestmark = pytest.mark.slow

REMOVE = TARGETS.index("remove_from_cart")


def parts_of(cases: PrefixSet) -> tuple[PrefixSet, PrefixSet, PrefixSet]:
    return cases.split(*cases.boundaries(RECIPE.train, RECIPE.train + RECIPE.valid))


def predictor_of(trained: Trained) -> Predictor:
    return Predictor(trained.model, trained.card)


def beside_of(trained: Trained) -> BlendedTrees:
    assert trained.fitted.beside is not None
    return trained.fitted.beside


def assert_same(found: Prediction, wanted: tuple[np.ndarray, np.ndarray], atol: float = 1e-5) -> None:
    np.testing.assert_allclose(found.probabilities, wanted[0], atol=atol)
    np.testing.assert_allclose(found.purchase, wanted[1], atol=atol)


def said(network: Fitted, trees: BoostedTrees, cases: PrefixSet) -> tuple[Predictions, Predictions]:
    own = calibrated(logits_of(network.net, cases), network.calibration)
    return Predictions(own[0].astype(np.float64), own[1].astype(np.float64)), trees.predict(cases)


def named(cases: PrefixSet) -> dict[str, np.ndarray]:
    return dict(zip(INPUTS, cases.batch(slice(None)), strict=False))


def test_the_graph_says_what_the_blend_of_the_comparison_says() -> None:
    trained, (_, valid, new) = blended_training(), parts_of(small_cases())
    network, beside = trained.fitted.network, beside_of(trained)
    compared = Blend(*said(network, beside.trees, valid), valid)
    assert list(compared.weights) == list(beside.weights) == trained.card.training["network_weights"]
    found = predictor_of(trained).predict(*new.batch(slice(None)))
    assert_same(found, compared.predict(*said(network, beside.trees, new)))


def edge_inputs(n: int) -> Inputs:
    """Random numbers in cases of one step, of all steps, and of others, with noise in the padding."""
    rng = np.random.default_rng(4)
    lengths = rng.integers(1, MAX_STEPS + 1, n)
    lengths[:2] = 1, MAX_STEPS
    steps = rng.normal(0.0, 2.0, (n, MAX_STEPS, len(STEP_FEATURES))).astype(np.float32)
    return steps, lengths, rng.normal(0.0, 2.0, (n, len(CONTEXT_FEATURES))).astype(np.float32), None


def test_cases_of_one_step_of_all_steps_and_of_any_padding() -> None:
    trained, inputs = blended_training(), edge_inputs(200)
    predictor = predictor_of(trained)
    wanted = calibrated(trained.fitted.logits_of_batch(inputs), identity())
    assert_same(predictor.predict(*inputs), wanted)
    steps, lengths, context, _ = inputs
    for i in range(4):
        alone = predictor.predict(steps[i : i + 1, : lengths[i]], lengths[i : i + 1], context[i : i + 1])
        assert_same(alone, (wanted[0][i : i + 1], wanted[1][i : i + 1]))


def test_values_at_a_threshold_go_where_they_went_in_training() -> None:
    table, rows = beside_of(blended_training()).table(), flat_inputs(small_cases())
    values, threshold = rows[:, table.feature], np.array(table.threshold)
    np.testing.assert_array_equal(values <= round_down(threshold), values.astype(np.float64) <= threshold)


@given(st.floats(-1e300, 1e300), from_dtype(np.dtype(np.float32), allow_nan=False, allow_infinity=False))
def test_a_threshold_is_rounded_so_that_no_number_changes_sides(threshold: float, value: np.float32) -> None:
    (rounded,) = round_down(np.array([threshold]))
    for tried in (value, np.float32(np.clip(threshold, -3e38, 3e38))):
        assert (tried <= rounded) == (float(tried) <= threshold)


def test_what_was_never_learnt_is_hardly_expected() -> None:
    learnt, valid, new = parts_of(small_cases())
    network, trees = small_training().fitted.network, BoostedTrees(**TREES)
    learnt, valid = (part.select(part.target != REMOVE) for part in (learnt, valid))
    trees.fit(learnt, valid, 1)
    assert REMOVE not in trees.classes
    made = blend(network, trees, valid)
    found = Prediction(*open_session(made.to_onnx().SerializeToString()).run(None, named(new)))
    compared = Blend(*said(network, trees, valid), valid)
    assert compared.weights[0] < 1.0
    assert_same(found, compared.predict(*said(network, trees, new)), atol=1e-4)


def test_trees_that_the_blend_gives_no_weight_are_left_out() -> None:
    trained = blended_training()
    beside, network = beside_of(trained), trained.fitted.network
    table = replace(beside, factors=np.array([1.0] * 5 + [0.0])).table()
    assert set(table.leaf_target) == set(range(5))
    assert len(table.roots) == beside.trees.action.num_trees()
    nothing = replace(beside, factors=np.zeros(6)).table()
    model = to_onnx(network.net, network.calibration, nothing)
    assert OPERATOR not in [node.op_type for node in model.graph.node]


def test_a_split_into_sets_is_refused() -> None:
    rows, labels = np.arange(200.0)[:, None] % 10, np.arange(200) % 10 % 3
    data = lgb.Dataset(rows, labels, categorical_feature=[0])
    booster = lgb.train({"objective": "regression", "verbosity": -1, "min_data_per_group": 1}, data, 2)
    with pytest.raises(ValueError, match="a tree splits by '==', not by number"):
        TreeTable(np.zeros(1)).add(booster, [0], np.ones(1))


async def test_a_host_serves_a_blend_and_a_network_alone(tmp_path: Path) -> None:
    host = ModelHost("next_action", ArtefactFolder(tmp_path, load))
    for trained in (blended_training(), small_training()):
        write_artefact(tmp_path, trained.model, trained.card)
        await host.look()
        assert host.refusal is None
        assert host.version == trained.card.version
    host.close()


def test_the_card_names_the_trees_and_what_made_them() -> None:
    blended, alone = blended_training().card, small_training().card
    assert blended.config["trees"]["num_leaves"] == TREES["num_leaves"]
    assert blended.training["parameters"] > alone.training["parameters"]
    assert "lightgbm" in blended.libraries
    assert "trees" not in alone.config
    assert "lightgbm" not in alone.libraries


def test_the_same_training_twice_gives_the_same_trees() -> None:
    learnt, valid, _ = parts_of(small_cases())
    rounds: list[int] = []
    again, before = BoostedTrees(on_round=rounds.append, **TREES), beside_of(blended_training()).trees
    again.fit(learnt, valid, RECIPE.seed)
    assert rounds == [*range(1, TREES["most_rounds"] + 1)] * 2
    assert again.action.model_to_string() == before.action.model_to_string()
    assert again.purchase.model_to_string() == before.purchase.model_to_string()


def test_a_blend_reads_names_and_rates_too() -> None:
    recipe = replace(RECIPE, net=NAMES, fit=replace(RECIPE.fit, most_epochs=1), trees=TREES)
    cases = small_cases().with_rates()
    trained = train({"small": cases}, recipe)
    predictor = predictor_of(trained)
    assert predictor.reads_ids
    assert predictor.reads_rates
    found = predictor.predict(*cases.inputs(slice(None), with_ids=True))
    assert_same(found, calibrated(trained.fitted.logits_of(cases), identity()))


def test_trees_learn_faster_from_many_cases_unless_a_rate_is_set() -> None:
    assert scaled_trees({"num_leaves": 6}, 99_999) == {"num_leaves": 6}
    assert scaled_trees({"num_leaves": 6}, 100_000) == {"num_leaves": 6, "learning_rate": 0.1}
    assert scaled_trees(TREES, 100_000) == TREES


def test_a_kind_is_a_blend_or_a_network_alone() -> None:
    assert recipe_of(BLEND, FitConfig(), embeddings=True).net.buckets == BUCKETS
    assert [recipe_of(kind, FitConfig()).trees is None for kind in KINDS] == [False, *[True] * len(NET_KINDS)]
    assert [recipe_of(kind, FitConfig()).net.kind for kind in KINDS] == ["cnn_bigru", *NET_KINDS]


def test_a_blend_is_what_is_trained_unless_something_else_is_asked_for() -> None:
    assert TrainingOptions((), Path(), Path()).kind == BLEND
    help_text = CliRunner().invoke(app, ["train", "next-action", "--help"], env={"COLUMNS": "200"}).output
    assert "[default: blend]" in help_text
