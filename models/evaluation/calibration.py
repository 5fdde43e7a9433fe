"""Calibration on validation data by a common temperature and one bias per class."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PRIOR_SD = 0.3
_MOST_STEPS = 50
_ENOUGH = 1e-10
_FLOOR = 1e-9


class Calibration(NamedTuple):
    """Probabilities become `softmax(scale * log(probability) + bias)`."""

    scale: float
    bias: Floats  # (classes,)

    def apply(self, probabilities: Floats) -> Floats:
        """Calibrated probabilities (n, classes)."""
        return _softmax(self.scale * np.log(np.maximum(probabilities, _FLOOR)) + self.bias)


def fit_calibration(probabilities: Floats, target: npt.NDArray[np.int64]) -> Calibration:
    """The calibration with the lowest log loss on these cases, found by Newton's method.

    The loss is convex. A normal prior around doing nothing, `_PRIOR_SD` wide, keeps a small validation set
    from bending what it knows little of; no cases at all change nothing.
    """
    n, classes = probabilities.shape
    start = np.append(1.0, np.zeros(classes))
    if not n:
        return Calibration(1.0, start[1:])
    scores = np.log(np.maximum(probabilities, _FLOOR))
    hits = np.eye(classes)[target]
    parameters = start.copy()
    loss = _loss(parameters, start, scores, hits)
    for _ in range(_MOST_STEPS):
        step = _newton_step(parameters, start, scores, hits)
        size = 1.0
        while size > 1e-6 and (tried := _loss(parameters - size * step, start, scores, hits)) > loss:
            size /= 2
        if size <= 1e-6 or loss - tried < _ENOUGH:
            break
        parameters, loss = parameters - size * step, tried
    return Calibration(float(parameters[0]), parameters[1:])


def _loss(parameters: Floats, start: Floats, scores: Floats, hits: Floats) -> float:
    probabilities = _softmax(parameters[0] * scores + parameters[1:])
    fit = -np.log(np.maximum((probabilities * hits).sum(axis=1), 1e-300)).mean()
    return float(fit + _pull(scores) * np.square(parameters - start).sum())


def _newton_step(parameters: Floats, start: Floats, scores: Floats, hits: Floats) -> Floats:
    probabilities = _softmax(parameters[0] * scores + parameters[1:])
    n, classes = scores.shape
    pull = _pull(scores)
    # Derivatives of the logits: the score itself for the scale, 1 for a class's own bias.
    inner = np.concatenate(
        [scores[:, None, :], np.broadcast_to(np.eye(classes), (n, classes, classes))], axis=1
    )
    mean = np.einsum("npc,nc->np", inner, probabilities)
    gradient = (mean - np.einsum("npc,nc->np", inner, hits)).mean(axis=0) + 2 * pull * (parameters - start)
    second = np.einsum("npc,nqc,nc->pq", inner, inner, probabilities, optimize=True) / n
    hessian = second - mean.T @ mean / n + 2 * pull * np.eye(classes + 1)
    return np.asarray(np.linalg.solve(hessian, gradient))


def _pull(scores: Floats) -> float:
    """Weight of the prior beside the mean loss of the cases."""
    return 0.5 / _PRIOR_SD**2 / len(scores)


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
