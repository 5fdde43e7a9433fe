"""The place of each target among all items, and what stands at the top of each list."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.next_item.evaluation.cases import Cases, Ints
from models.next_item.model import NextItemModel, Scores
from models.next_item.sessions import UNKNOWN, Codes

LIST_SIZE = 20
MISSED = np.iinfo(np.int64).max
"""The rank of a target that training lacks or that the model rules out."""
_BATCH_SCORES = 6_000_000
_BLOCK = 64
_ALONE = 200
"""So many queries are also timed one by one."""


class Ranked(NamedTuple):
    """What a model answered to n cases."""

    rank: Ints
    """(n,): 1 is the top; items of the same score as the target stand before it."""
    top: Codes
    """(n, `LIST_SIZE`): items from the top; those at the lowest score are not told apart and not listed."""
    batch_us: float
    """CPU microseconds of a query in batches, all threads together."""
    alone_us: float
    """The same of a query that comes alone, the median."""


def rank_cases(
    model: NextItemModel,
    cases: Cases,
    n_items: int,
    *,
    exclude_current: bool,
    progress: Callable[[int], None],
) -> Ranked:
    """Rank the whole catalogue for every case; `exclude_current`: the latest item of a prefix is no answer.

    `progress` hears how many cases are done. Raises `ValueError` if the model answers in another shape.
    """
    rank = np.empty(cases.n_cases, dtype=np.int64)
    top = np.full((cases.n_cases, LIST_SIZE), UNKNOWN, dtype=np.int32)
    spent_s = 0.0
    batch = max(16, min(512, _BATCH_SCORES // max(1, n_items)))
    for start in range(0, cases.n_cases, batch):
        end = min(start + batch, cases.n_cases)
        prefixes = cases.prefixes(start, end)
        began = time.process_time()
        scores = model.scores(prefixes)
        spent_s += time.process_time() - began
        if scores.shape != (end - start, n_items):
            raise ValueError(
                f"{model.name} must answer scores of shape {(end - start, n_items)}, got {scores.shape}"
            )
        lowest = scores.min(axis=1)
        if exclude_current:
            current = cases.items[cases.last[start:end]]
            known = np.flatnonzero(current != UNKNOWN)
            scores[known, current[known]] = -np.inf
        rank[start:end] = ranks(scores, cases.target[start:end])
        top[start:end] = top_items(scores, lowest)
        progress(end)
    return Ranked(rank, top, 1e6 * spent_s / max(1, cases.n_cases), _time_alone(model, cases))


def ranks(scores: Scores, target: Codes) -> Ints:
    """The rank of each target, ties against it; `MISSED` for `UNKNOWN` and for a score of -inf or NaN."""
    own = scores[np.arange(len(target)), target]
    rank = scores.shape[1] - np.count_nonzero(scores < own[:, None], axis=1)
    return np.where((target == UNKNOWN) | ~(own > -np.inf), MISSED, rank)


def top_items(scores: Scores, lowest: Scores) -> Codes:
    """(n, `LIST_SIZE`): the best items, the best first, of those above the `lowest` (n,) of their row."""
    top = np.full((len(scores), LIST_SIZE), UNKNOWN, dtype=np.int32)
    blocks = np.arange(0, scores.shape[1], _BLOCK)
    for row, own in enumerate(scores):
        # At least 20 items reach the 20th highest of the blocks' maxima: few enough to sort.
        highest = np.sort(np.maximum.reduceat(own, blocks))
        reached = highest[-LIST_SIZE] if len(highest) > LIST_SIZE else lowest[row]
        places = np.flatnonzero((own >= reached) & (own > lowest[row]))
        if len(places) > LIST_SIZE:
            places = places[np.argpartition(-own[places], LIST_SIZE)[:LIST_SIZE]]
        top[row, : len(places)] = places[np.argsort(-own[places], kind="stable")]
    return top


def _time_alone(model: NextItemModel, cases: Cases) -> float:
    spent_s = []
    for case in np.linspace(0, cases.n_cases - 1, min(_ALONE, cases.n_cases)).astype(int):
        prefix = cases.prefixes(case, case + 1)
        began = time.process_time()
        model.scores(prefix)
        spent_s.append(time.process_time() - began)
    return 1e6 * float(np.median(spent_s))
