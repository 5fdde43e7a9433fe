"""What a history says of each item in it, as one row per pair of user and item."""

from typing import NamedTuple

import numpy as np

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.frequency import days_before


class Pairs(NamedTuple):
    """The items of each history; rows are in order of `key`, so that pairs are found by bisection.

    Ages are in baskets, 0 for the newest; times in days before the moment of asking, -1 where unknown.
    """

    key: Ints  # user's index * n_items + item
    purchases: Ints  # baskets with the item
    newest_age: Ints
    oldest_age: Ints
    recent: Ints  # of the newest five baskets, those with the item
    decayed: Floats  # sum of 0.9 ^ age
    newest_days: Floats
    oldest_days: Floats
    last_gap: Ints  # baskets between the last two purchases, -1 for a single one


RECENT = 5
DECAY = 0.9


def pairs_of(histories: Baskets) -> Pairs:
    """Of all histories."""
    ages = histories.ages()
    line_basket = np.repeat(np.arange(histories.n_baskets), histories.sizes())
    keys = histories.line_keys()
    order = np.lexsort((line_basket, keys))
    keys, baskets = keys[order], line_basket[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    last = np.append(first[1:], len(keys)) - 1
    age = ages[baskets]
    counts = last - first + 1
    days = np.full(histories.n_baskets, -1.0) if histories.at_days is None else days_before(histories)
    before_last = np.maximum(last - 1, first)
    return Pairs(
        key=keys[first],
        purchases=counts,
        newest_age=age[last],
        oldest_age=age[first],
        recent=np.add.reduceat((age < RECENT).astype(np.int64), first),
        decayed=np.add.reduceat(DECAY ** age.astype(np.float64), first),
        newest_days=days[baskets[last]],
        oldest_days=days[baskets[first]],
        last_gap=np.where(counts > 1, age[before_last] - age[last], -1),
    )


def positions_of(keys: Ints, wanted: Ints) -> Ints:
    """Where each wanted key is among sorted keys, -1 for those that are not."""
    if not len(keys):
        return np.full(len(wanted), -1)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, found, -1)
