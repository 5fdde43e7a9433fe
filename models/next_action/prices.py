"""The price level of a shop, so that prices can be told as high or low for this shop."""

from collections.abc import Sequence
from math import log
from typing import NamedTuple

HORIZON = 10_000
"""About how many priced events the level looks back over."""


class PriceLevel(NamedTuple):
    """Running mean of the logarithm of prices (minor units), and how many prices it rests on.

    A weight of 0 means unknown: then no price is high or low. Prices are taken as they are, whatever their
    currency: a shop that sells in several has one level of them all.
    """

    mean_log: float
    weight: float

    def after(self, price_minor: int | None) -> "PriceLevel":
        """The level after one more event; one without a price changes nothing."""
        if not price_minor:
            return self
        weight = min(self.weight + 1.0, HORIZON)
        return PriceLevel(self.mean_log + (log(price_minor) - self.mean_log) / weight, weight)

    def after_all(self, prices_minor: Sequence[int]) -> "PriceLevel":
        """The level after many more prices at once, none of them 0: for few much the same as one by one."""
        if not prices_minor:
            return self
        weight = min(self.weight + len(prices_minor), HORIZON)
        share = min(1.0, len(prices_minor) / weight)
        mean_log = sum(map(log, prices_minor)) / len(prices_minor)
        return PriceLevel(self.mean_log + (mean_log - self.mean_log) * share, weight)


UNKNOWN_LEVEL = PriceLevel(0.0, 0.0)
