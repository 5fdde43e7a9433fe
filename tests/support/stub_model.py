"""A model artefact made by hand in no time: its chances swing with the context, so alerts come and go."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper

from models.artefacts.card import CARD_FILE, MODEL_FILE
from models.next_action.actions import TARGETS
from models.next_action.card import Golden
from models.next_action.features import CONTEXT_FEATURES, CONTEXT_LEVELS, STEP_FEATURES
from rule_model import make_card

Floats = npt.NDArray[np.float32]
Trap = Literal["", "hangs", "fails"]
"""What a model does with every input but the golden ones: it answers, never answers, or raises."""

SWING = 0.24
MIDDLE = 0.25
_STEPS, _CONTEXT = len(STEP_FEATURES), len(CONTEXT_FEATURES)


def chances(context: Floats, phase: float) -> Floats:
    """The chance of a purchase, from 0.01 to 0.49."""
    return np.asarray(MIDDLE + SWING * np.sin(context @ _weights() + phase), dtype=np.float32)[:, 0]


def write_model(folder: Path, *, phase: float = 0.0, off_by: float = 0.0, trap: Trap = "") -> str:
    """Put a model into the folder, file by file; returns its version. `off_by` spoils its golden outputs."""
    model = _model(phase, trap)
    context = np.linspace(-1, 1, 3 * _CONTEXT, dtype=np.float32).reshape(3, _CONTEXT)
    purchase = chances(context, phase) + off_by
    golden = Golden(
        np.zeros((3, 2, _STEPS)).tolist(), [1, 2, 2], context.tolist(), [_distribution()] * 3,
        purchase.tolist(), 1e-3,
    )  # fmt: skip
    digest = hashlib.sha256(model).hexdigest()
    card = replace(make_card(""), model_sha256=digest, golden=golden).sealed()
    made = folder.with_name(f"{folder.name}-made")
    made.mkdir(parents=True)
    (made / MODEL_FILE).write_bytes(model)
    (made / CARD_FILE).write_bytes(card.encode())
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MODEL_FILE, CARD_FILE):
        (made / name).replace(folder / name)
    shutil.rmtree(made)
    return card.version


def _weights() -> Floats:
    weights = np.linspace(0.3, 3.0, _CONTEXT, dtype=np.float32)
    # The level of prices depends on the batches; without it a score follows from the visitor's actions alone.
    weights[[CONTEXT_FEATURES.index(name) for name in CONTEXT_LEVELS]] = 0.0
    return weights[:, None]


def _distribution() -> list[float]:
    return [0.5, 0.1, 0.05, 0.05, 0.3][: len(TARGETS)]


def _model(phase: float, trap: Trap) -> bytes:
    nodes = [
        *_trap(trap),
        helper.make_node("MatMul", ["context", "weights"], ["dot"]),
        helper.make_node("Add", ["dot", "phase"], ["angle"]),
        helper.make_node("Sin", ["angle"], ["sine"]),
        helper.make_node("Mul", ["sine", "swing"], ["swung"]),
        helper.make_node("Add", ["swung", "middle"], ["column"]),
        helper.make_node("Squeeze", ["column", "axis"], ["purchase"]),
        helper.make_node("Mul", ["column", "zero"], ["zeros"]),
        helper.make_node("Add", ["zeros", "distribution"], ["probabilities"]),
    ]
    constants = [
        _constant("weights", _weights()),
        _constant("phase", np.array([phase], dtype=np.float32)),
        _constant("swing", np.array([SWING], dtype=np.float32)),
        _constant("middle", np.array([MIDDLE], dtype=np.float32)),
        _constant("nothing", np.array([0.0], dtype=np.float32)),
        _constant("distribution", np.array([_distribution()], dtype=np.float32)),
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("forever", TensorProto.INT64, [], [2**62]),
        helper.make_tensor("go", TensorProto.BOOL, [], [True]),
    ]
    inputs = [
        helper.make_tensor_value_info("steps", TensorProto.FLOAT, ["batch", "time", _STEPS]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("context", TensorProto.FLOAT, ["batch", _CONTEXT]),
    ]
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", len(TARGETS)]),
        helper.make_tensor_value_info("purchase", TensorProto.FLOAT, ["batch"]),
    ]
    graph = helper.make_graph(nodes, "stub", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _trap(trap: Trap) -> list[NodeProto]:
    """Nodes that come to `zero`, and to the trap where a step is more than zero, as in no golden input."""
    if not trap:
        return [helper.make_node("Identity", ["nothing"], ["zero"])]
    sprung = [
        helper.make_node("ReduceMax", ["steps"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["is_live"], to=TensorProto.BOOL),
        helper.make_node("Cast", ["is_live"], ["live"], to=TensorProto.INT64),
    ]
    if trap == "fails":
        return [*sprung, helper.make_node("Gather", ["nothing", "live"], ["zero"])]  # there is no second one
    body = helper.make_graph(
        [helper.make_node("Sin", ["x"], ["next_x"]), helper.make_node("Identity", ["on"], ["still_on"])],
        "turn",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("still_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_x", TensorProto.FLOAT, [1]),
        ],
    )
    turns = helper.make_node("Mul", ["live", "forever"], ["turns"])
    return [*sprung, turns, helper.make_node("Loop", ["turns", "go", "nothing"], ["zero"], body=body)]


def _constant(name: str, value: Floats) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.flatten().tolist())
