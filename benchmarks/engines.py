"""One untrained network of the shipped shape, in torch and exported to onnxruntime. Needs torch and onnx."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.visitors import ScoredVisitor
from models.artefacts.onnx_session import open_session
from models.next_action.encoding import Batch, encode_visitor, stack
from models.next_action.training.calibration import identity
from models.next_action.training.fit import BUDGET
from models.next_action.training.net_config import NetConfig
from models.next_action.training.nets import (
    N_ACTIONS,
    ActionNet,
    count_parameters,
    fit_normalisation,
    fit_width,
)
from models.next_action.training.onnx_model import to_onnx

Outputs = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Probabilities of the next action (batch, 5) and of a purchase (batch,)."""

LARGEST_DIFFERENCE = 1e-4


class BothEngines:
    """The default network at the width that a training gives it, weights random, both engines on one thread.

    Raises `RuntimeError` if the engines do not agree on `visitors`, whose features it is normalised to.
    """

    def __init__(self, visitors: Sequence[ScoredVisitor], idle_ms: int, *, seed: int = 7) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        batch = stack([encode_visitor(*subject, idle_ms) for subject in visitors])
        self._net = _make_net(batch)
        self.parameters = count_parameters(self._net)
        model = to_onnx(self._net, identity()).SerializeToString()
        self._session = open_session(model)
        self._check(batch)

    def run_onnx(self, batch: Batch) -> Outputs:
        """The outputs of onnxruntime."""
        steps, lengths, context = batch
        found = self._session.run(None, {"steps": steps, "lengths": lengths, "context": context})
        return found[0], found[1]

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


def _make_net(batch: Batch) -> ActionNet:
    steps, lengths, context = batch
    rows = steps[np.arange(steps.shape[1]) < lengths[:, None]]
    config = NetConfig()
    normalisation = fit_normalisation(rows, context, config.bins)
    return ActionNet(fit_width(config, normalisation, BUDGET), normalisation).eval()
