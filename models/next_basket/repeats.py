"""What one customer is likely to buy again, from their own baskets alone, in plain values.

A list for one request: it reads no other customer and no model, and takes microseconds.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

BASKET_DECAY = 0.95
"""Where times are known, a basket counts so much of the next one; without times, all count the same."""
TYPICAL_DAYS = 28.0
"""Time between two purchases of a product where nothing is known of the customer's own."""
_OF_SHOP, _OF_CUSTOMER = 2.0, 0.5
"""Gaps at the typical time that are added to the customer's, and at the customer's mean to the product's."""
_SHORTEST_DAYS = 1.0


class Repeat(NamedTuple):
    """A product of the customer's baskets. Times are in days, None where they are unknown."""

    product_id: str
    times: int
    """Baskets with it."""
    score: float
    """The share of the baskets with it, newer ones counting more where times are known; below 1."""
    since_days: float | None
    """From the newest purchase to the moment of asking."""
    mean_gap_days: float | None
    """Between its purchases; None for a single one too."""
    interval_days: float | None
    """The same, shrunk to the mean of all products of the customer, and that to the typical time."""

    @property
    def stage(self) -> float | None:
        """Time since the last purchase by the interval: 1 when it is due."""
        if self.since_days is None or self.interval_days is None:
            return None
        return self.since_days / self.interval_days


def find_repeats(
    baskets: Sequence[Collection[str]], ages_days: Sequence[float] | None = None
) -> list[Repeat]:
    """One per product, the highest score first, then the one bought last.

    `baskets` have the newest first; `ages_days` are their times before the moment of asking, None: unknown.
    """
    decay = 1.0 if ages_days is None else BASKET_DECAY
    weights = [decay**age for age in range(len(baskets))]
    places: dict[str, list[int]] = {}
    for place, basket in enumerate(baskets):
        for product_id in dict.fromkeys(basket):
            places.setdefault(product_id, []).append(place)
    total = 1.0 + sum(weights)
    shares = {product_id: sum(weights[at] for at in found) / total for product_id, found in places.items()}
    if ages_days is None:
        repeats = [
            Repeat(product_id, len(found), shares[product_id], None, None, None)
            for product_id, found in places.items()
        ]
    else:
        gaps = {
            product_id: [ages_days[older] - ages_days[newer] for newer, older in pairwise(found)]
            for product_id, found in places.items()
        }
        of_all = [gap for found in gaps.values() for gap in found]
        usual = (sum(of_all) + _OF_SHOP * TYPICAL_DAYS) / (len(of_all) + _OF_SHOP)
        repeats = [
            _dated(product_id, len(found), shares[product_id], ages_days[found[0]], gaps[product_id], usual)
            for product_id, found in places.items()
        ]
    repeats.sort(key=lambda repeat: (-repeat.score, places[repeat.product_id][0], repeat.product_id))
    return repeats


def _dated(
    product_id: str, times: int, share: float, since_days: float, gaps: Sequence[float], usual: float
) -> Repeat:
    since_days = max(0.0, since_days)
    of_gaps = sum(gaps)
    interval_days = max(_SHORTEST_DAYS, (of_gaps + _OF_CUSTOMER * usual) / (len(gaps) + _OF_CUSTOMER))
    return Repeat(product_id, times, share, since_days, of_gaps / len(gaps) if gaps else None, interval_days)
