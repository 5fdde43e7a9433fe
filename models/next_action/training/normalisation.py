"""What a network knows of the numbers it reads: how far from zero and how spread they are in training."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet

Floats = npt.NDArray[np.float32]

_SAMPLE = 60_000
"""Cases that the normalisation looks at, at most."""


class Normalisation(NamedTuple):
    """Statistics of the training cases, frozen into the network.

    Steps: `(value - mean) / scale`, clipped. Context: for each bin the index of its feature, its lower edge
    and the inverse of its width.
    """

    step_mean: Floats
    step_scale: Floats
    bin_feature: npt.NDArray[np.int64]
    bin_low: Floats
    bin_inverse: Floats


def fit_normalisation(rows: Floats, context: Floats, bins: int) -> Normalisation:
    """Statistics of step rows (n, features) without padding, and of context rows (n, features)."""
    mean = rows.mean(axis=0, dtype=np.float64)
    scale = rows.std(axis=0, dtype=np.float64)
    features: list[int] = []
    lows: list[float] = []
    widths: list[float] = []
    for feature in range(context.shape[1]):
        edges = _edges(context[:, feature], bins)
        features += [feature] * (len(edges) - 1)
        lows += edges[:-1].tolist()
        widths += np.diff(edges).tolist()
    return Normalisation(
        mean.astype(np.float32),
        np.where(scale > 1e-6, scale, 1.0).astype(np.float32),
        np.array(features, dtype=np.int64),
        np.array(lows, dtype=np.float32),
        (1.0 / np.array(widths)).astype(np.float32),
    )


def _edges(values: Floats, bins: int) -> npt.NDArray[np.float64]:
    """Edges of at most `bins` bins; a feature that never changes gets one, around its value.

    Few different values get an edge each. Otherwise quantiles of all values and, because many features are
    mostly zero, of those that are not the commonest value.
    """
    seen, counts = np.unique(values.astype(np.float64), return_counts=True)
    if len(seen) == 1:
        return np.array([seen[0], seen[0] + 1.0])
    if len(seen) > bins + 1:
        common = seen[np.argmax(counts)]
        rest = values[values != common].astype(np.float64)
        seen = np.unique(np.append(np.quantile(rest, np.linspace(0.0, 1.0, bins)), common))
    gaps = np.append(True, np.diff(seen) > 1e-6 * max(1.0, float(np.abs(seen).max())))
    seen = seen[gaps]
    return seen if len(seen) > 1 else np.array([seen[0], seen[0] + 1.0])


def measure_normalisation(train: PrefixSet, bins: int, seed: int) -> Normalisation:
    """Statistics of training cases, of a sample where there are very many."""
    rng = np.random.default_rng(seed)
    chosen = np.arange(len(train))
    if len(train) > _SAMPLE:
        chosen = np.sort(rng.choice(len(train), _SAMPLE, replace=False))
    sample = train.select(chosen)
    return fit_normalisation(sample.last_steps(), sample.context, bins)
