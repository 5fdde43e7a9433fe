"""Candidates that must never get into the shadow: real artefacts, each refused with what is wrong with it."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from contracts.settings import Settings
from models.artefacts.card import write_artefact
from models.artefacts.source import ArtefactFolder
from models.lifecycle.checks import Unfit, check_candidate
from models.next_action.card import NextActionCard, decode_card
from models.next_action.features import CONTEXT_FEATURES
from models.next_action.predictor import load, load_shipped
from models.next_action.training.recipe import Trained, train
from ops.learning.loop.next_action import NextActionTrainer
from small_training import RECIPE, small_cases, small_training

pytestmark = pytest.mark.slow

TRAINER = NextActionTrainer()


def check(folder: Path, champion: Any = None) -> dict[str, float | int]:
    candidate = ArtefactFolder(folder, load)
    return check_candidate(TRAINER, candidate, champion or load_shipped(), small_cases())


def put(folder: Path, model: bytes, card: NextActionCard, **golden: Any) -> Path:
    """A sealed artefact: whoever made it says what it must answer."""
    digest = hashlib.sha256(model).hexdigest()
    made = replace(card, model_sha256=digest, golden=replace(card.golden, **golden)).sealed()
    write_artefact(folder, model, made)
    return folder


def poisoned(trained: Trained, nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> bytes:
    """The network with nodes after its outputs, which they find as `said` (n, 5) and `buys` (n,)."""
    model = onnx.load_from_string(trained.model)
    names = [output.name for output in model.graph.output]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name in names:
                node.output[place] = ("said", "buys")[names.index(name)]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    return bytes(model.SerializeToString())


def outputs(trained: Trained) -> list[str]:
    return [output.name for output in onnx.load_from_string(trained.model).graph.output]


def test_an_honest_candidate_passes(tmp_path: Path) -> None:
    trained = small_training()
    write_artefact(tmp_path / "made", trained.model, trained.card)
    figures = check(tmp_path / "made")
    assert figures["loss"] < figures["base_rate_loss"]
    assert figures["times_slower"] < 5
    assert decode_card((tmp_path / "made" / "card.json").read_bytes()).version == trained.card.version


def test_labels_that_were_shuffled(tmp_path: Path) -> None:
    cases, rng = small_cases(), np.random.default_rng(1)
    shuffled = replace(cases, target=rng.permutation(cases.target), will_buy=rng.permutation(cases.will_buy))
    trained = train({"shuffled": shuffled}, RECIPE)
    write_artefact(tmp_path / "made", trained.model, trained.card)
    with pytest.raises(Unfit, match=r"^not better than base rates in the newest \d+ sessions"):
        check(tmp_path / "made")


def test_numbers_that_are_none_in_calls_larger_than_the_golden_one(tmp_path: Path) -> None:
    trained = small_training()
    next_action, purchase = outputs(trained)
    most = len(trained.card.golden.lengths)
    nodes = [
        helper.make_node("Shape", ["buys"], ["size"]),
        helper.make_node("Greater", ["size", "most"], ["is_live"]),
        helper.make_node("Where", ["is_live", "nan", "none"], ["poison"]),
        helper.make_node("Add", ["said", "poison"], [next_action]),
        helper.make_node("Identity", ["buys"], [purchase]),
    ]
    constants = {
        "most": np.array([most]),
        "nan": np.array([np.nan], dtype=np.float32),
        "none": np.array([0.0], dtype=np.float32),
    }
    folder = put(tmp_path / "made", poisoned(trained, nodes, constants), trained.card)
    with pytest.raises(Unfit, match="it cannot be asked: it says what is no number"):
        check(folder)
    golden = np.full((most, 5), np.nan).tolist()
    with pytest.raises(Unfit, match="it cannot be loaded: the model cannot be run"):
        check(put(tmp_path / "sealed", trained.model, trained.card, probabilities=golden))


def test_another_shape(tmp_path: Path) -> None:
    trained = small_training()
    next_action, purchase = outputs(trained)
    nodes = [
        helper.make_node("Slice", ["said", "from", "to", "axis"], [next_action]),
        helper.make_node("Identity", ["buys"], [purchase]),
    ]
    constants = {"from": np.array([0]), "to": np.array([4]), "axis": np.array([1])}
    model = onnx.load_from_string(poisoned(trained, nodes, constants))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    golden = np.array(trained.card.golden.probabilities)[:, :4].tolist()
    folder = put(tmp_path / "made", bytes(model.SerializeToString()), trained.card, probabilities=golden)
    with pytest.raises(Unfit, match=r"it cannot be asked: .*shape \(256,4\) could not be broadcast"):
        check(folder)
    card = replace(trained.card, context_features=CONTEXT_FEATURES[1:]).sealed()
    write_artefact(tmp_path / "inputs", trained.model, card)
    with pytest.raises(Unfit, match="it cannot be loaded: the model was made for other context features"):
        check(tmp_path / "inputs")


def test_ten_times_as_slow(tmp_path: Path) -> None:
    trained = small_training()
    next_action, purchase = outputs(trained)
    width, wide = len(CONTEXT_FEATURES), 1_024
    rng = np.random.default_rng(2)
    nodes = [
        helper.make_node("MatMul", ["context", "widen"], ["layer0"]),
        *[helper.make_node("MatMul", [f"layer{i}", "square"], [f"layer{i + 1}"]) for i in range(8)],
        helper.make_node("ReduceMax", ["layer8"], ["most"], keepdims=1),
        helper.make_node("Mul", ["most", "nothing"], ["nothings"]),
        helper.make_node("Add", ["said", "nothings"], [next_action]),
        helper.make_node("Identity", ["buys"], [purchase]),
    ]
    constants = {
        "widen": rng.normal(0, 0.01, (width, wide)).astype(np.float32),
        "square": rng.normal(0, 0.01, (wide, wide)).astype(np.float32),
        "nothing": np.array([0.0], dtype=np.float32),
    }
    folder = put(tmp_path / "made", poisoned(trained, nodes, constants), trained.card)
    write_artefact(tmp_path / "honest", trained.model, trained.card)
    with pytest.raises(Unfit, match=r"^it takes \d+\.\d times as long as the champion, at most 5 "):
        check(folder, load(tmp_path / "honest"))


def test_files_that_are_damaged_or_missing(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match=r"it cannot be loaded: .* has no readable model.onnx"):
        check(tmp_path)
    trained = small_training()
    write_artefact(tmp_path / "made", trained.model, trained.card)
    (tmp_path / "made" / "model.onnx").write_bytes(trained.model[:-1])
    with pytest.raises(Unfit, match=r"it cannot be loaded: .*SHA-256"):
        check(tmp_path / "made")


def test_its_source_is_that_of_the_slot() -> None:
    assert TRAINER.source(Settings()).load().version == load_shipped().version
