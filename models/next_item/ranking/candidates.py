"""Candidates for the next item: what several models put at the top, and the items of the session itself."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_item.model import NextItemModel, Scores
from models.next_item.prefixes import flatten
from models.next_item.ranking.item_statistics import NAMES as ITEM_FEATURES
from models.next_item.ranking.item_statistics import ItemStatistics
from models.next_item.sessions import UNKNOWN, Codes
from models.next_item.top import top_items

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PER_SOURCE = 40
"""How many items of each model are candidates."""
PREFIX_FEATURES = "length", "distinct_items", "last_log_popularity"
RELATIVE = " relative score"
"""The end of a feature's name: where a score is between the lowest of the prefix, 0, and the highest, 1."""
PAIR_FEATURES = "times_in_session", "steps_back"
POPULARITY_FEATURES = (*ITEM_FEATURES, "last_log_popularity")
"""Those that say how popular an item is, and how lately it was met, whatever the visitor does."""
_NOT_IN_SESSION = 1_000
"""Steps back to an item that the session does not have."""


class Pairs(NamedTuple):
    """Pairs of a prefix and an item that may come next, those of a prefix together and the prefixes in order.

    `row` and `item` (pairs,), `features` (pairs, features) as `feature_names` has them. `relative` (pairs,
    sources): the score of each source between its lowest of the prefix, 0, and its highest, 1.
    """

    row: Ints
    item: Ints
    features: Floats
    relative: Floats


def feature_names(sources: Sequence[NextItemModel]) -> list[str]:
    """Names of the features of a pair."""
    of_sources = [f"{source.name}{what}" for source in sources for what in (" score", RELATIVE, " rank")]
    return [*of_sources, *ITEM_FEATURES, *PREFIX_FEATURES, *PAIR_FEATURES]


def collect(
    prefixes: Sequence[Codes],
    scores: Sequence[Scores],
    statistics: ItemStatistics,
    per_source: int = PER_SOURCE,
) -> Pairs:
    """The pairs of some prefixes, from the `scores` (n, items) of each source.

    Items that a source has at the lowest score of a prefix are none of its candidates: it does not tell them
    from the rest. What the first source scores -inf is no candidate of any.
    """
    n_items = scores[0].shape[1]
    ranges = [_range_of(own) for own in scores]
    tops = [_top(own, lowest, per_source) for own, (lowest, _) in zip(scores, ranges, strict=True)]
    steps = flatten(prefixes)
    of_steps = steps.row * n_items + steps.item
    # A pair is one number, row x items + item: sorted, they are found again by bisection.
    pairs = np.unique(np.concatenate([of_steps, *(keys for keys, _ in tops)]))
    row, item = np.divmod(pairs, n_items)
    columns: list[npt.NDArray[np.generic]] = []
    relatives = []
    for own, (lowest, highest), (keys, ranks) in zip(scores, ranges, tops, strict=True):
        found = own[row, item]
        found = np.where(np.isfinite(found), found, lowest[row])
        relatives.append((found - lowest[row]) / np.maximum(highest - lowest, 1e-9)[row])
        rank = np.full(len(pairs), per_source + 1)
        rank[np.searchsorted(pairs, keys)] = ranks
        columns += [found, relatives[-1], rank]
    columns += [values[item] for values in statistics]
    columns += [values[row] for values in _of_prefixes(prefixes, statistics)]
    at_steps = np.searchsorted(pairs, of_steps)
    latest = np.full(len(pairs), _NOT_IN_SESSION)
    np.minimum.at(latest, at_steps, steps.back)
    columns += [np.bincount(at_steps, minlength=len(pairs)), latest]
    features = np.stack([column.astype(np.float32) for column in columns], axis=1)
    relative = np.stack(relatives, axis=1).astype(np.float32)
    possible = np.isfinite(scores[0][row, item])
    return Pairs(row[possible], item[possible], features[possible], relative[possible])


def _range_of(scores: Scores) -> tuple[Floats, Floats]:
    """The lowest and the highest finite score (n,) of each row; 0 where there is none."""
    lowest, highest = scores.min(axis=1), scores.max(axis=1)
    ruled_out = np.flatnonzero(~np.isfinite(lowest))
    lowest[ruled_out] = np.where(np.isfinite(scores[ruled_out]), scores[ruled_out], np.inf).min(axis=1)
    return np.where(np.isfinite(lowest), lowest, 0.0), np.where(np.isfinite(highest), highest, 0.0)


def _top(scores: Scores, lowest: Floats, size: int) -> tuple[Ints, Ints]:
    """The `size` best items of each row above its lowest, as row x items + item, and their ranks from 1."""
    top = top_items(scores, lowest, size)
    row, place = np.nonzero(top != UNKNOWN)
    return row * scores.shape[1] + top[row, place], place + 1


def _of_prefixes(prefixes: Sequence[Codes], statistics: ItemStatistics) -> tuple[Floats, ...]:
    """`PREFIX_FEATURES` (n,) each."""
    last = np.array([prefix[-1] for prefix in prefixes])
    unknown = statistics.log_popularity.min(initial=0.0)
    return (
        np.array([len(prefix) for prefix in prefixes], dtype=np.float32),
        np.array([len(np.unique(prefix)) for prefix in prefixes], dtype=np.float32),
        np.where(last == UNKNOWN, unknown, statistics.log_popularity[last]).astype(np.float32),
    )
