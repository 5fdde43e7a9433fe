"""Calibration on validation data: what makes an output a probability that can be acted on."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

Floats = npt.NDArray[np.float32]
_PULL = 5.0
"""How many cases pull towards doing nothing: what a few purchases seem to tell is not believed at once."""


class Calibration(NamedTuple):
    """`logits * scale + bias`, six numbers each: five actions (one common temperature), then the purchase."""

    scale: Floats
    bias: Floats


def identity() -> Calibration:
    """The calibration that changes nothing."""
    return Calibration(np.ones(6, dtype=np.float32), np.zeros(6, dtype=np.float32))


def fit_calibration(
    logits: Floats, actions: npt.NDArray[np.int64], purchases: npt.NDArray[np.bool_]
) -> Calibration:
    """Temperature and a bias per action (vector scaling, one temperature), Platt scaling for the purchase.

    `logits` (n, 6) are of the validation cases, `actions` (n,) their next action, `purchases` (n,) whether
    one came.
    """
    raw = torch.from_numpy(logits.astype(np.float64))
    target = torch.from_numpy(actions)
    bought = torch.from_numpy(purchases.astype(np.float64))
    pull = _PULL / max(1, len(logits))
    by_action = _minimise(lambda p: cross_entropy(raw[:, :5] * p[0].exp() + p[1:6], target), 6, pull)
    by_purchase = _minimise(
        lambda p: binary_cross_entropy_with_logits(raw[:, 5] * p[0].exp() + p[1], bought), 2, pull
    )
    scale = np.append(np.repeat(np.exp(by_action[0]), 5), np.exp(by_purchase[0]))
    bias = np.append(by_action[1:] - by_action[1:].mean(), by_purchase[1])
    return Calibration(scale.astype(np.float32), bias.astype(np.float32))


def _minimise(loss: Callable[[Tensor], Tensor], size: int, pull: float) -> npt.NDArray[np.float64]:
    """Parameters at the minimum of a loss and of `pull` times their squares, started at doing nothing."""
    parameters = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(parameters) + pull * parameters.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # untyped in torch
    return parameters.detach().numpy().copy()


def calibrated(logits: npt.NDArray[np.floating], calibration: Calibration) -> tuple[Floats, Floats]:
    """Probabilities of the next action (n, 5) and of a purchase (n,)."""
    scaled = logits.astype(np.float64) * calibration.scale + calibration.bias
    actions = np.exp(scaled[:, :5] - scaled[:, :5].max(axis=1, keepdims=True))
    actions /= actions.sum(axis=1, keepdims=True)
    purchase = 1.0 / (1.0 + np.exp(-np.clip(scaled[:, 5], -60.0, 60.0)))
    return actions.astype(np.float32), purchase.astype(np.float32)
