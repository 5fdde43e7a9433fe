"""Figures of each case: what of the true basket is in the list, and what kind of items the list holds."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Bools, Cases, Floats, Int32s
from models.next_basket.model import Scores

DEPTHS = (10, 20)
LONGEST = max(DEPTHS)
_TOPS = (1, 5, 10)

Figures = Mapping[str, Floats]


def figures_of(ranked: Int32s, cases: Cases, shares: Floats) -> dict[str, Floats]:
    """Of every case, by name; NaN where a case has no such items.

    `ranked` (cases, 20) holds codes, -1 for nothing; `shares` (n_items,) is the share of known baskets with
    each item. NDCG's ideal list holds the whole true basket: it is not cut at k, as in the code of Hu et al.
    and of Li et al. `new` is the share of the first ten that the user never bought, `surprise` their mean
    -log2 of the share.
    """
    truth = cases.targets
    hits = contains(truth, ranked)
    own = contains(cases.histories, ranked)
    own_truth = _own_items(cases)
    sizes: Floats = truth.sizes().astype(np.float64)
    discounts = 1 / np.log2(np.arange(2, max(LONGEST, int(sizes.max())) + 2))
    ideal = np.cumsum(discounts)[sizes.astype(int) - 1]
    found: dict[str, Floats] = {}
    for k in DEPTHS:
        top = hits[:, :k]
        found[f"recall@{k}"] = np.divide(top.sum(axis=1), sizes)
        found[f"ndcg@{k}"] = np.divide(top @ discounts[:k], ideal)
        found[f"phr@{k}"] = _any(top)
        found[f"repeat_recall@{k}"] = _share((top & own[:, :k]).sum(axis=1), own_truth)
        found[f"explore_recall@{k}"] = _share((top & ~own[:, :k]).sum(axis=1), sizes - own_truth)
    for k in _TOPS:
        found[f"top@{k}"] = _any(hits[:, :k])
    first = ranked[:, :10]
    listed = first >= 0
    found["new"] = _share((listed & ~own[:, :10]).sum(axis=1), listed.sum(axis=1))
    surprise = np.where(listed, -np.log2(shares[np.maximum(first, 0)]), 0.0)
    found["surprise"] = _share(surprise.sum(axis=1), listed.sum(axis=1))
    return found


def candidate_recall(scores: Scores, truth: Baskets) -> Floats:
    """The share of each true basket that has a score at all (users,): no order of `scores` finds more."""
    scored = scores.ravel()[truth.line_keys()] > -np.inf
    owner = truth.by_line(truth.owners())
    return np.asarray(np.bincount(owner, scored, truth.n_users) / truth.sizes())


def contains(baskets: Baskets, listed: Int32s) -> Bools:
    """Whether the baskets of each user hold each item of the user's row (users, k)."""
    rows = np.arange(baskets.n_users)
    keys = rows[:, None] * np.int64(baskets.n_items) + listed
    return np.isin(keys, baskets.line_keys()) & (listed >= 0)


def seen_shares(known: Baskets) -> Floats:
    """The share of known baskets with each item; an item of none counts as one of one basket more."""
    counts = np.bincount(known.items, minlength=known.n_items)
    return np.asarray(np.maximum(counts, 1) / (known.n_baskets + 1))


def _own_items(cases: Cases) -> Floats:
    """How many items of each true basket the user bought before."""
    truth = cases.targets
    own = np.isin(truth.line_keys(), cases.histories.line_keys())
    return np.asarray(np.bincount(truth.by_line(truth.owners()), own, truth.n_users), np.float64)


def _any(hits: Bools) -> Floats:
    return np.asarray(hits.any(axis=1), np.float64)


def _share(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(np.where(wholes > 0, parts / np.maximum(wholes, 1), np.nan))
