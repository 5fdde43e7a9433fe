"""What is trained: a network and the boosted trees that are blended with it, as one sum of scores.

Calibrating and blending are linear in the scores of both, but for what softmax takes off again. So the whole
is the network's logits times a factor per output, plus the trees' scores times another, plus a constant.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from models.evaluation import calibration as by_task
from models.next_action.cases import PrefixSet
from models.next_action.encoding import Inputs
from models.next_action.evaluation.blend import Blend
from models.next_action.evaluation.contender import Predictions
from models.next_action.evaluation.flat import Rows, flat_chunks, flatten
from models.next_action.evaluation.trees import BoostedTrees
from models.next_action.training.calibration import Calibration, calibrated
from models.next_action.training.fit import Fitted, logits_of, logits_of_batch
from models.next_action.training.nets import N_ACTIONS, count_parameters
from models.next_action.training.onnx_model import to_onnx
from models.next_action.training.tree_table import TreeTable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BlendedTrees:
    """Trees beside a network: `factors` (6,) are of their scores, five actions and the purchase.

    `weights` are the network's, for the next action and the purchase.
    """

    trees: BoostedTrees
    factors: Floats
    weights: tuple[float, float]

    def logits(self, rows: Rows) -> Floats:
        """What the trees add to the logits (n, 6) of the cases that these rows are of."""
        return self.factors * self.trees.scores(rows)

    def table(self) -> TreeTable:
        """The same as ONNX has it."""
        table = TreeTable(self.factors * self.trees.base)
        table.add(self.trees.action, self.trees.classes.tolist(), self.factors)
        table.add(self.trees.purchase, [N_ACTIONS], self.factors)
        return table


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted network, alone or with trees; `calibration` is of the network's logits."""

    network: Fitted
    calibration: Calibration
    beside: BlendedTrees | None = None

    @property
    def parameters(self) -> int:
        """How many numbers were fitted, the leaves of trees and the weights of a blend included."""
        alone = count_parameters(self.network.net)
        return alone if self.beside is None else alone + self.beside.trees.parameters + 2

    def logits_of(self, cases: PrefixSet) -> Floats:
        """Calibrated logits (n, 6) of all cases, in their order."""
        logits = self._scale(logits_of(self.network.net, cases))
        if self.beside is not None:
            for chunk, rows in flat_chunks(cases):
                logits[chunk] += self.beside.logits(rows)
        return logits

    def logits_of_batch(self, inputs: Inputs) -> Floats:
        """Calibrated logits (batch, 6)."""
        logits = self._scale(logits_of_batch(self.network.net, inputs))
        return logits if self.beside is None else logits + self.beside.logits(flatten(inputs[:3]))

    def to_onnx(self) -> onnx.ModelProto:
        """All of it as one graph; see `onnx_model.to_onnx`."""
        table = None if self.beside is None else self.beside.table()
        return to_onnx(self.network.net, self.calibration, table)

    def _scale(self, logits: npt.NDArray[np.float32]) -> Floats:
        return np.asarray(logits.astype(np.float64) * self.calibration.scale + self.calibration.bias)


def blend(network: Fitted, trees: BoostedTrees, valid: PrefixSet) -> FittedModel:
    """Network and trees with the weights and the calibration that `Blend` finds on validation cases."""
    own, boosted = network.calibration, _as_one(trees.scales)
    said = probabilities(calibrated(logits_of(network.net, valid), own))
    found = Blend(said, trees.predict(valid), valid)
    mixed, share = _as_one(found.scales), np.repeat(found.weights, (N_ACTIONS, 1))
    calibration = Calibration(
        (mixed.scale * share * own.scale).astype(np.float32),
        (mixed.scale * (share * own.bias + (1 - share) * boosted.bias) + mixed.bias).astype(np.float32),
    )
    factors = mixed.scale * (1.0 - share) * boosted.scale
    return FittedModel(network, calibration, BlendedTrees(trees, factors.astype(np.float64), found.weights))


def probabilities(said: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]) -> Predictions:
    """What `calibrated` gives, as all contenders say it."""
    return Predictions(said[0].astype(np.float64), said[1].astype(np.float64))


def _as_one(scales: tuple[by_task.Calibration, by_task.Calibration]) -> Calibration:
    """Calibrations of the action's distribution and of no purchase and a purchase, as six numbers each."""
    action, purchase = scales
    return Calibration(
        np.array([action.scale] * N_ACTIONS + [purchase.scale], np.float32),
        np.append(action.bias, purchase.bias[1] - purchase.bias[0]).astype(np.float32),
    )
