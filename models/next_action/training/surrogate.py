"""A sum of curves that imitates a network's purchase logit, so that its answers have reasons."""

import numpy as np
import numpy.typing as npt

from models.next_action.card import Surrogate
from models.next_action.training.nets import Normalisation

Floats = npt.NDArray[np.float32]
_RIDGE = 3.0
"""Penalty on the squared weight of a bin, in cases."""
_MOST_CASES = 40_000


def fit_surrogate(
    normalisation: Normalisation, train: tuple[Floats, Floats], valid: tuple[Floats, Floats]
) -> Surrogate:
    """Ridge regression of purchase logits (n,) on the network's own bins of the context (n, features).

    `train` and `valid` are pairs of context and logits; the fidelity is measured on `valid`.
    """
    context, logits = train
    stride = max(1, len(logits) // _MOST_CASES)
    bins = _bins(normalisation, context[::stride])
    mean, level = bins.mean(axis=0), float(logits[::stride].mean())
    centred = bins - mean
    gram = centred.T @ centred + _RIDGE * np.eye(bins.shape[1])
    weight = np.linalg.solve(gram, centred.T @ (logits[::stride] - level))
    guessed = (_bins(normalisation, valid[0]) - mean) @ weight + level
    spread = float(np.square(valid[1] - valid[1].mean()).sum())
    missed = float(np.square(valid[1] - guessed).sum())
    return Surrogate(
        feature=normalisation.bin_feature.tolist(),
        low=_plain(normalisation.bin_low),
        inverse=_plain(normalisation.bin_inverse),
        weight=_plain(weight),
        mean=_plain(mean),
        intercept=round(level, 6),
        fidelity=round(1.0 - missed / max(spread, 1e-12), 4),
    )


def _bins(normalisation: Normalisation, context: Floats) -> npt.NDArray[np.float64]:
    values = context[:, normalisation.bin_feature].astype(np.float64)
    return ((values - normalisation.bin_low) * normalisation.bin_inverse).clip(0.0, 1.0)


def _plain(values: npt.NDArray[np.floating]) -> list[float]:
    return [float(f"{value:.7g}") for value in values]
