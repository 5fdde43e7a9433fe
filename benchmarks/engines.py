"""One untrained network of the shipped shape, in torch and exported to onnxruntime, alone and with trees.

Needs torch and onnx.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from benchmarks.visitors import ScoredVisitor
from models.artefacts.onnx_session import open_session
from models.next_action.encoding import Batch, encode_visitor, stack
from models.next_action.evaluation.flat import flatten
from models.next_action.training.calibration import identity
from models.next_action.training.fit import BUDGET
from models.next_action.training.net_config import NetConfig
from models.next_action.training.nets import (
    N_ACTIONS,
    N_OUTPUTS,
    ActionNet,
    count_parameters,
    fit_normalisation,
    fit_width,
)
from models.next_action.training.onnx_model import INPUTS, to_onnx
from models.next_action.training.tree_table import TreeTable

Floats = npt.NDArray[np.float32]
Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Probabilities of the next action (batch, 5) and of a purchase (batch,)."""

LARGEST_DIFFERENCE = 1e-4
TREES, LEAVES = 700, 15
"""About as many as the shipped model has."""


class BothEngines:
    """The default network at the width that a training gives it, weights random, both engines on one thread.

    Raises `RuntimeError` if the engines do not agree on `visitors`, whose features it is normalised to. The
    trees that it is blended with are random too.
    """

    def __init__(self, visitors: Sequence[ScoredVisitor], idle_ms: int, *, seed: int = 7) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        batch = stack([encode_visitor(*subject, idle_ms) for subject in visitors])
        self._net = _make_net(batch)
        self.parameters = count_parameters(self._net)
        self._session = open_session(to_onnx(self._net, identity()).SerializeToString())
        self._check(batch)
        trees = _make_trees(flatten(batch), np.random.default_rng(seed))
        self._blend = open_session(to_onnx(self._net, identity(), trees).SerializeToString())

    def run_onnx(self, batch: Batch) -> Outputs:
        """The outputs of onnxruntime."""
        return _run(self._session, batch)

    def run_blend(self, batch: Batch) -> Outputs:
        """Those of the network with trees."""
        return _run(self._blend, batch)

    def run_torch(self, batch: Batch) -> Outputs:
        """The outputs of torch."""
        with torch.inference_mode():
            logits = self._net(*[torch.from_numpy(part) for part in batch])
            probabilities = torch.softmax(logits[:, :N_ACTIONS], dim=1)
            return probabilities.numpy(), torch.sigmoid(logits[:, N_ACTIONS]).numpy()

    def _check(self, batch: Batch) -> None:
        pairs = zip(self.run_onnx(batch), self.run_torch(batch), strict=True)
        worst = max(float(np.abs(left - right).max()) for left, right in pairs)
        if not worst <= LARGEST_DIFFERENCE:
            raise RuntimeError(f"onnxruntime and torch differ by {worst:.2g}: this is not one network")


def _run(session: onnxruntime.InferenceSession, batch: Batch) -> Outputs:
    probabilities, purchase = session.run(None, dict(zip(INPUTS, batch, strict=False)))
    return probabilities, purchase


def _make_trees(rows: Floats, rng: np.random.Generator) -> TreeTable:
    """As many trees as the shipped model has, with splits of random features at values of these visitors."""
    table = TreeTable(np.zeros(N_OUTPUTS))
    changing = np.flatnonzero(np.ptp(rows, axis=0))
    for number in range(TREES):
        table.add_tree(_make_tree(rows, changing, LEAVES, rng), number % N_OUTPUTS)
    return table


def _make_tree(
    rows: Floats, changing: npt.NDArray[np.int64], leaves: int, rng: np.random.Generator
) -> dict[str, Any]:
    """A tree in LightGBM's words."""
    if leaves == 1:
        return {"leaf_value": float(rng.normal(0.0, 0.01))}
    feature, below = int(rng.choice(changing)), int(rng.integers(1, leaves))
    return {
        "decision_type": "<=",
        "split_feature": feature,
        "threshold": float(rng.choice(rows[:, feature])),
        "left_child": _make_tree(rows, changing, below, rng),
        "right_child": _make_tree(rows, changing, leaves - below, rng),
    }


def _make_net(batch: Batch) -> ActionNet:
    steps, lengths, context = batch
    rows = steps[np.arange(steps.shape[1]) < lengths[:, None]]
    config = NetConfig()
    normalisation = fit_normalisation(rows, context, config.bins)
    return ActionNet(fit_width(config, normalisation, BUDGET), normalisation).eval()
