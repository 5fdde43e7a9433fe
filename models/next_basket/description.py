"""What a history and counts of items say of candidates: the features that read no other customer."""

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.cadence import interval_share, mean_interval
from models.next_basket.features import FEATURES, UNKNOWN
from models.next_basket.frequency import days_before
from models.next_basket.item_facts import ItemFacts
from models.next_basket.pairs import Pairs, positions_of
from models.next_basket.purchases import (
    BASKET_DECAYS,
    HALF_LIVES_DAYS,
    closeness_of_hours,
    describe_purchases,
)
from models.next_basket.taste import DEFAULT

POPULAR, FOLLOWING = 150, 60
"""Candidates of everybody, and those that follow a history's newest basket."""
_NONE_IF_NEVER = (
    "taste", "count", "share", "recent_share", "decayed_share", "hour_share", "basket_parts",
    *BASKET_DECAYS, *HALF_LIVES_DAYS,
)  # fmt: skip
"""Of an item never bought these are 0, and the other columns of own items -1."""
_TYPICAL_SIZE, _WEIGHT = 10.0, 0.5
"""Items of a basket, and the part of a basket that it counts for beside those of a time of day."""


def describe(
    histories: Baskets, pairs: Pairs, facts: ItemFacts, transition: Floats, key: Ints
) -> dict[str, Floats]:
    """The columns of candidates in order of `key`; `transition` is their chance after the newest basket."""
    user, item = key // np.int64(histories.n_items), key % np.int64(histories.n_items)
    columns = {
        **_own(pairs, histories, key),
        "transition": transition,
        **_item(facts, item),
        **{name: values[user] for name, values in _user(histories, pairs).items()},
    }
    bought = columns["newest_age"] >= 0
    columns["due_by_item"] = np.where(bought, (columns["newest_age"] + 1) / columns["item_gap"], UNKNOWN)
    return columns


def popular_items(facts: ItemFacts) -> Ints:
    """The items of most newest baskets, which are candidates of everybody."""
    return np.argsort(-facts.recent, kind="stable")[:POPULAR]


def stack_columns(columns: dict[str, Floats], n_rows: int) -> npt.NDArray[np.float32]:
    """The features in their order (rows, features); those that are not among the columns are -1."""
    unknown = np.full(n_rows, UNKNOWN, np.float32)
    return np.column_stack(
        [columns[name].astype(np.float32) if name in columns else unknown for name in FEATURES]
    )


def _own(pairs: Pairs, histories: Baskets, key: Ints) -> dict[str, Floats]:
    """What the history says of the item itself."""
    baskets = histories.counts()[pairs.key // histories.n_items]
    again = pairs.purchases > 1
    gap = np.where(again, mean_interval(pairs, np.zeros(len(pairs.key), bool)), UNKNOWN)
    has_times = pairs.newest_days >= 0
    days = np.where(again & has_times, mean_interval(pairs, has_times), UNKNOWN)
    taste = np.bincount(
        positions_of(pairs.key, histories.line_keys()),
        weights=histories.by_line(DEFAULT.weights(histories)),
        minlength=len(pairs.key),
    )
    of_pairs = {
        "taste": taste,
        "count": pairs.purchases,
        "share": pairs.purchases / baskets,
        "newest_age": pairs.newest_age,
        "oldest_age": pairs.oldest_age,
        "recent_share": pairs.recent / np.minimum(baskets, 5),
        "decayed_share": pairs.decayed / ((1 - 0.9**baskets) / (1 - 0.9)),
        "mean_gap": gap,
        "last_gap": pairs.last_gap,
        "due": np.where(again, (pairs.newest_age + 1) / np.maximum(gap, 1e-3), UNKNOWN),
        "days_since": pairs.newest_days,
        "mean_days": days,
        "due_days": np.where(has_times, interval_share(pairs), UNKNOWN),
        "own_place": places_of(pairs.decayed, pairs.key // histories.n_items),
        **describe_purchases(histories),
    }
    at = positions_of(pairs.key, key)
    return {
        name: np.where(
            at >= 0, np.asarray(values, np.float64)[at], 0.0 if name in _NONE_IF_NEVER else UNKNOWN
        )
        for name, values in of_pairs.items()
    }


def _item(facts: ItemFacts, item: Ints) -> dict[str, Floats]:
    popularity, recent = facts.popularity[item], facts.recent[item]
    return {
        "popularity": popularity,
        "recent_popularity": recent,
        "trend": np.log((recent + 1e-4) / (popularity + 1e-4)),
        "buyers": facts.buyers[item],
        "rebought": facts.rebought[item],
        "again": facts.again[item],
        "item_gap": facts.gap[item],
    }


def _user(histories: Baskets, pairs: Pairs) -> dict[str, Floats]:
    """Of each user."""
    counts, sizes = histories.counts(), histories.sizes()
    lines = np.add.reduceat(sizes, histories.user_starts[:-1])
    distinct = np.bincount(pairs.key // histories.n_items, minlength=histories.n_users)
    unknown = np.full(histories.n_users, UNKNOWN)
    since, interval, hour_size = unknown, unknown, unknown
    if histories.at_days is not None:
        near, owners = closeness_of_hours(histories), histories.owners()
        summed = np.bincount(owners, weights=near * sizes, minlength=histories.n_users)
        total = np.bincount(owners, weights=near, minlength=histories.n_users)
        hour_size = (summed + _WEIGHT * _TYPICAL_SIZE) / (total + _WEIGHT)
        days = days_before(histories)
        oldest, newest = days[histories.user_starts[:-1]], days[histories.user_starts[1:] - 1]
        since, interval = newest, (oldest - newest) / np.maximum(counts - 1, 1)
    return {
        "baskets": counts.astype(np.float64),
        "mean_size": lines / counts,
        "newest_size": sizes[histories.user_starts[1:] - 1].astype(np.float64),
        "repeat_share": 1 - distinct / lines,
        "days_since_basket": since,
        "mean_basket_days": interval,
        "hour_size": hour_size,
    }


def places_of(values: Floats, user: Ints) -> Floats:
    """The place of each row among those of its user, 0 for the greatest value; users are in order."""
    order = np.lexsort((-values, user))
    begins = np.searchsorted(user, user[order])
    places = np.empty(len(values))
    places[order] = np.arange(len(values)) - begins
    return places
