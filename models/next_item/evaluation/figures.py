"""What ranks and lists add up to."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.evaluation.bootstrap import ROUNDS, draw_weights
from models.next_item.cases import Cases, Ints
from models.next_item.evaluation.ranking import LIST_SIZE, Ranked
from models.next_item.sessions import ACTIONS, UNKNOWN

CUTS = (1, 5, 10, LIST_SIZE)
PREFIX_LENGTHS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, None))
"""Kinds of cases by how many items their prefix has, both ends included."""

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def gains(rank: Ints) -> dict[str, Floats]:
    """Recall, MRR and NDCG of every case at each cut. One item is right, so recall is the hit rate."""
    found: dict[str, Floats] = {}
    for cut in CUTS:
        hit = rank <= cut
        found[f"recall@{cut}"] = hit.astype(np.float64)
        found[f"mrr@{cut}"] = np.where(hit, 1.0 / rank, 0.0)
        found[f"ndcg@{cut}"] = np.where(hit, 1.0 / np.log2(rank + 1.0), 0.0)
    return found


def measure(rank: Ints) -> dict[str, float]:
    """Means over all cases."""
    return {name: float(values.mean()) for name, values in gains(rank).items()}


def measure_lists(ranked: Ranked, cases: Cases, counts: Ints) -> dict[str, float]:
    """Figures of the lists of the top 20. `counts`: (n_items,) how often training has each item.

    `coverage`: share of the catalogue that stands in any list. `popularity_bias`: how often training has the
    items of the lists, over the same of the targets; 1: as popular as what visitors choose. `novelty_bits`:
    mean of -log2 of an item's share of the training events. `repeats`: share of the places with an item of
    the prefix. NaN where the lists are empty.
    """
    shown = ranked.top != UNKNOWN
    if not shown.any():
        return dict.fromkeys(("coverage", "popularity_bias", "novelty_bits", "repeats"), float("nan"))
    items = ranked.top[shown]
    chosen = counts[cases.targets[cases.targets != UNKNOWN]]
    return {
        "coverage": len(np.unique(items)) / len(counts),
        "popularity_bias": float(counts[items].mean() / chosen.mean()) if len(chosen) else float("nan"),
        "novelty_bits": float(-np.log2(counts[items] / counts.sum()).mean()),
        "repeats": float(_in_prefix(ranked, cases)[shown].mean()),
    }


def kinds_of(cases: Cases) -> dict[str, Bools]:
    """Masks of kinds of cases: by the action on the target if the data say it, and by length."""
    kinds: dict[str, Bools] = {}
    if cases.actions is not None:
        kinds |= {f"next {name}": cases.actions == place for place, name in enumerate(ACTIONS)}
    for low, high in PREFIX_LENGTHS:
        name = f"{low}" if low == high else f"{low}+" if high is None else f"{low}-{high}"
        kinds[f"prefix {name}"] = (cases.lengths >= low) & (cases.lengths <= (high or np.inf))
    return {name: mask for name, mask in kinds.items() if mask.any()}


def resample(cases: Cases, by_case: Sequence[Floats], *, rounds: int = ROUNDS, seed: int = 0) -> Floats:
    """(1 + rounds, figures): means as they are, then over sessions drawn anew, the same for all figures."""
    _, session = np.unique(cases.session, return_inverse=True)
    n_sessions = int(session.max(initial=-1)) + 1
    sums = np.stack(
        [
            np.bincount(session, weights=values, minlength=n_sessions)
            for values in (np.ones(len(session)), *by_case)
        ]
    )
    drawn = np.array([sums @ weight for weight in draw_weights(n_sessions, rounds=rounds, seed=seed)])
    return np.asarray(drawn[:, 1:] / drawn[:, :1])


def targets_in_prefix(cases: Cases) -> float:
    """Share of the cases whose target is among the items of its prefix."""
    found = [
        bool((cases.items[a : b + 1] == target).any())
        for a, b, target in zip(cases.first, cases.last, cases.targets, strict=True)
        if target != UNKNOWN
    ]
    return sum(found) / max(1, len(cases))


def _in_prefix(ranked: Ranked, cases: Cases) -> Bools:
    found = np.zeros(ranked.top.shape, dtype=bool)
    for back in range(int(cases.lengths.max(initial=0))):
        own = np.flatnonzero(cases.lengths > back)
        item = cases.items[cases.last[own] - back]
        found[own] |= ranked.top[own] == item[:, None]
    return np.asarray(found & (ranked.top != UNKNOWN))
