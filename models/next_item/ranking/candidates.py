"""Candidates for the next item: what several models put at the top, and the items of the session itself."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_item.model import NextItemModel, Scores
from models.next_item.ranking.item_statistics import NAMES as ITEM_FEATURES
from models.next_item.ranking.item_statistics import ItemStatistics
from models.next_item.sessions import UNKNOWN, Codes

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
PER_SOURCE = 40
"""How many items of each model are candidates."""
PREFIX_FEATURES = "length", "distinct_items", "last_log_popularity"
PAIR_FEATURES = "times_in_session", "steps_back"
_NOT_IN_SESSION = 1_000
"""Steps back to an item that the session does not have."""


class Pairs(NamedTuple):
    """Pairs of a prefix and an item that may come next, those of a prefix together and the prefixes in order.

    `row` and `item` (pairs,), `features` (pairs, features) as `feature_names` has them. `relative` (pairs,
    sources): the score of each source over its highest of the prefix.
    """

    row: Ints
    item: Ints
    features: Floats
    relative: Floats


def feature_names(sources: Sequence[NextItemModel]) -> list[str]:
    """Names of the features of a pair."""
    of_sources = [
        f"{source.name} {what}" for source in sources for what in ("score", "relative score", "rank")
    ]
    return [*of_sources, *ITEM_FEATURES, *PREFIX_FEATURES, *PAIR_FEATURES]


def collect(
    prefixes: Sequence[Codes],
    scores: Sequence[Scores],
    statistics: ItemStatistics,
    per_source: int = PER_SOURCE,
) -> Pairs:
    """The pairs of some prefixes, from the `scores` (n, items) of each source.

    Items that a source has at the lowest score of a prefix are none of its candidates: it does not tell them
    from the rest.
    """
    tops = [_top(own, per_source) for own in scores]
    is_candidate = np.zeros(scores[0].shape, dtype=bool)
    for ranks in tops:
        is_candidate |= ranks <= per_source
    session_row, session_item, back = _steps(prefixes)
    is_candidate[session_row, session_item] = True
    is_candidate &= np.isfinite(scores[0])
    row, item = np.nonzero(is_candidate)
    columns: list[npt.NDArray[np.generic]] = []
    relatives = []
    for own, ranks in zip(scores, tops, strict=True):
        found = own[row, item]
        highest = np.abs(own.max(axis=1, initial=0.0, where=np.isfinite(own)))[row]
        found = np.where(np.isfinite(found), found, 0.0)
        relatives.append(found / np.maximum(highest, 1e-9))
        columns += [found, relatives[-1], ranks[row, item].astype(np.float32)]
    columns += [values[item] for values in statistics]
    columns += [values[row] for values in _of_prefixes(prefixes, statistics)]
    times = np.zeros(scores[0].shape, dtype=np.int16)
    np.add.at(times, (session_row, session_item), 1)
    latest = np.full(scores[0].shape, _NOT_IN_SESSION, dtype=np.int16)
    np.minimum.at(latest, (session_row, session_item), back.astype(np.int16))
    columns += [times[row, item], latest[row, item]]
    features = np.stack(columns, axis=1).astype(np.float32)
    return Pairs(row, item, features, np.stack(relatives, axis=1).astype(np.float32))


def _top(scores: Scores, size: int) -> npt.NDArray[np.int32]:
    """Ranks (n, items) of the `size` best items of each row from 1 on; of all others one more than `size`."""
    size = min(size, scores.shape[1])
    best = np.argpartition(scores, scores.shape[1] - size, axis=1)[:, -size:]
    found = np.take_along_axis(scores, best, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
    lowest = np.where(np.isfinite(scores), scores, np.inf).min(axis=1, keepdims=True)
    ranks = np.full(scores.shape, size + 1, dtype=np.int32)
    places = np.where(found > lowest, np.arange(1, size + 1), size + 1)
    np.put_along_axis(ranks, best, places.astype(np.int32), axis=1)
    return ranks


def _steps(prefixes: Sequence[Codes]) -> tuple[Ints, Ints, Ints]:
    """Row, item and steps back from the newest item, of all known items of all prefixes."""
    lengths = np.array([len(prefix) for prefix in prefixes])
    row = np.repeat(np.arange(len(prefixes)), lengths)
    items = np.concatenate([*prefixes, np.empty(0, np.int32)]).astype(np.int64)
    back = np.cumsum(lengths)[row] - 1 - np.arange(len(row))
    known = items != UNKNOWN
    return row[known], items[known], back[known]


def _of_prefixes(prefixes: Sequence[Codes], statistics: ItemStatistics) -> tuple[Floats, ...]:
    """`PREFIX_FEATURES` (n,) each."""
    last = np.array([prefix[-1] for prefix in prefixes])
    unknown = statistics.log_popularity.min(initial=0.0)
    return (
        np.array([len(prefix) for prefix in prefixes], dtype=np.float32),
        np.array([len(np.unique(prefix)) for prefix in prefixes], dtype=np.float32),
        np.where(last == UNKNOWN, unknown, statistics.log_popularity[last]).astype(np.float32),
    )
