"""Facts of items: how popular each is, and how it comes again."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from models.next_basket.baskets import Baskets, Floats
from models.next_basket.frequency import shares_of_baskets
from models.next_basket.pairs import pairs_of

_PRIOR = 10.0
"""Buyers, or baskets, at the mean rate that are added to those of an item."""


@dataclass(slots=True)
class ItemFacts:
    """Of every item (n_items,), from the known baskets."""

    popularity: Floats
    recent: Floats
    """The share of users' newest baskets with it."""
    buyers: Floats
    rebought: Floats
    """Of its buyers, the share that bought it in two baskets or more."""
    again: Floats
    """Of the baskets with it, the share whose user's next basket has it too."""
    gap: Floats
    """Mean baskets between two purchases by one user."""

    @classmethod
    def of(cls, known: Baskets) -> Self:
        """Count."""
        pairs = pairs_of(known)
        item = pairs.key % known.n_items
        n = known.n_items
        buyers = np.bincount(item, minlength=n).astype(np.float64)
        repeats = np.bincount(item, weights=pairs.purchases - 1, minlength=n)
        spans = np.bincount(item, weights=pairs.oldest_age - pairs.newest_age, minlength=n)
        return cls(
            popularity=shares_of_baskets(known),
            recent=shares_of_baskets(known, newest=1),
            buyers=buyers,
            rebought=_rates(np.bincount(item, weights=pairs.purchases > 1, minlength=n), buyers),
            again=_rates(*_followed(known)),
            gap=_rates(spans, repeats),
        )


def _followed(known: Baskets) -> tuple[Floats, Floats]:
    """Of every item: the baskets whose next one has it too, and those that have a next one."""
    n = np.int64(known.n_items)
    keys = known.by_line(np.arange(known.n_baskets)) * n + known.items
    has_next = known.by_line(known.ages() > 0)
    item = known.items[has_next]
    both = np.isin(keys[has_next] + n, keys)
    return (
        np.bincount(item, weights=both.astype(np.float64), minlength=known.n_items).astype(np.float64),
        np.bincount(item, minlength=known.n_items).astype(np.float64),
    )


def _rates(part: npt.ArrayLike, whole: npt.ArrayLike) -> Floats:
    parts, wholes = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    mean = parts.sum() / max(float(wholes.sum()), 1.0)
    return np.asarray((parts + _PRIOR * mean) / (wholes + _PRIOR))
