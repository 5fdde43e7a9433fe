"""The place of each target among all items, and what stands at the top of each list."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from models.next_item.cases import Cases, Ints
from models.next_item.model import NextItemModel, Scores
from models.next_item.sessions import UNKNOWN, Codes
from models.next_item.top import top_items

LIST_SIZE = 20
MISSED = np.iinfo(np.int64).max
"""The rank of a target that training lacks or that the model rules out."""
_BATCH_SCORES = 2_800_000
"""Scores of a batch: larger arrays than these would be taken from the system anew for each."""
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
    rank = np.empty(len(cases), dtype=np.int64)
    top = np.full((len(cases), LIST_SIZE), UNKNOWN, dtype=np.int32)
    spent_s = 0.0
    for part, scores, taken_s in _scores_of(model, cases, n_items):
        spent_s += taken_s
        lowest = scores.min(axis=1)
        if exclude_current:
            _rule_out_current(scores, cases.take(part))
        rank[part] = ranks(scores, cases.targets[part])
        top[part] = top_items(scores, lowest, LIST_SIZE)
        progress(part.stop)
    return Ranked(rank, top, 1e6 * spent_s / max(1, len(cases)), _time_alone(model, cases))


def rank_targets(model: NextItemModel, cases: Cases, n_items: int, *, exclude_current: bool) -> Ints:
    """Only the ranks of `rank_cases`, without lists and times."""
    rank = np.empty(len(cases), dtype=np.int64)
    for part, scores, _ in _scores_of(model, cases, n_items):
        if exclude_current:
            _rule_out_current(scores, cases.take(part))
        rank[part] = ranks(scores, cases.targets[part])
    return rank


def ranks(scores: Scores, target: Codes) -> Ints:
    """The rank of each target, ties against it; `MISSED` for `UNKNOWN` and for a score of -inf or NaN."""
    own = scores[np.arange(len(target)), target]
    rank = scores.shape[1] - np.count_nonzero(scores < own[:, None], axis=1)
    return np.where((target == UNKNOWN) | ~(own > -np.inf), MISSED, rank)


def _scores_of(model: NextItemModel, cases: Cases, n_items: int) -> Iterator[tuple[slice, Scores, float]]:
    """Batch by batch which cases they are, the scores of all items, and the CPU seconds these took."""
    batch = max(16, min(512, _BATCH_SCORES // max(1, n_items)))
    for start in range(0, len(cases), batch):
        part = slice(start, min(start + batch, len(cases)))
        prefixes = cases.take(part).prefixes()
        began = time.process_time()
        scores = model.scores(prefixes)
        taken_s = time.process_time() - began
        if scores.shape != (len(prefixes), n_items):
            raise ValueError(
                f"{model.name} must answer scores of shape {(len(prefixes), n_items)}, got {scores.shape}"
            )
        yield part, scores, taken_s


def _rule_out_current(scores: Scores, cases: Cases) -> None:
    current = cases.items[cases.last]
    known = np.flatnonzero(current != UNKNOWN)
    scores[known, current[known]] = -np.inf


def _time_alone(model: NextItemModel, cases: Cases) -> float:
    spent_s = []
    for case in np.linspace(0, len(cases) - 1, min(_ALONE, len(cases))).astype(int):
        prefix = cases.take(slice(case, case + 1)).prefixes()
        began = time.process_time()
        model.scores(prefix)
        spent_s.append(time.process_time() - began)
    return 1e6 * float(np.median(spent_s))
