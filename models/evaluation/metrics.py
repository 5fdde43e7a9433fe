"""How good probabilities and rankings are."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ECE_BINS = 15
_FLOOR = 1e-7
"""No probability counts as lower: one case can cost 16 at most."""


def class_losses(target: Ints, probabilities: Floats) -> Floats:
    """Log loss of every case, in nats, of distributions (n, classes)."""
    return np.asarray(-np.log(np.maximum(probabilities[np.arange(len(target)), target], _FLOOR)))


def binary_losses(happened: Bools, probability: Floats) -> Floats:
    """Log loss of every case, in nats."""
    return np.asarray(-np.log(np.maximum(np.where(happened, probability, 1.0 - probability), _FLOOR)))


def balanced_accuracy(target: Ints, chosen: Ints) -> float:
    """Mean recall of the classes that occur."""
    return float(np.mean([(chosen[target == c] == c).mean() for c in np.unique(target)]))


def macro_f1(target: Ints, chosen: Ints) -> float:
    """Mean F1 of the classes that occur."""
    scores = []
    for c in np.unique(target):
        hits = int(((target == c) & (chosen == c)).sum())
        scores.append(2 * hits / (int((target == c).sum()) + int((chosen == c).sum())))
    return float(np.mean(scores))


def roc_auc(positive: Bools, score: Floats) -> float:
    """The chance that a positive scores higher than a negative; ties count half. NaN without both."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[group]
    return float((rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def pr_auc(positive: Bools, score: Floats, weight: Floats | None = None) -> float:
    """Average precision; equal scores are one step. NaN without positives."""
    order, ends = ranking(score)
    return ranked_pr_auc(positive[order], ends, np.ones(len(score)) if weight is None else weight[order])


def ranking(score: Floats) -> tuple[Ints, Ints]:
    """The order of the scores, highest first, and the last place of each run of equal ones."""
    order = np.argsort(-score, kind="stable")
    return order, np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)


def ranked_pr_auc(positive: Bools, ends: Ints, weight: Floats) -> float:
    """The same of cases that are in the order of their `ranking` already."""
    if not positive.any():
        return float("nan")
    found = np.cumsum(positive * weight)[ends]
    if not found[-1]:  # all of them weigh nothing
        return float("nan")
    precision = found / np.maximum(np.cumsum(weight)[ends], 1e-12)
    return float((np.diff(found, prepend=0.0) * precision).sum() / found[-1])


def expected_calibration_error(probability: Floats, happened: Bools, bins: int = ECE_BINS) -> float:
    """Mean distance between what was promised and what happened, over bins of equal size."""
    return float(
        sum(len(part) * abs(promised - rate) for promised, rate, part in _bins(probability, happened, bins))
        / max(1, len(probability))
    )


def reliability(probability: Floats, happened: Bools, bins: int = ECE_BINS) -> list[tuple[float, float, int]]:
    """Points of a reliability plot: mean probability, rate of what happened, cases; bins of equal size."""
    return [(promised, rate, len(part)) for promised, rate, part in _bins(probability, happened, bins)]


def _bins(probability: Floats, happened: Bools, bins: int) -> list[tuple[float, float, Ints]]:
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [(float(probability[part].mean()), float(happened[part].mean()), part) for part in parts]
