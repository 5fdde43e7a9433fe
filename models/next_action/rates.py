"""Running conversion rates of products and categories, as everybody else's past tells them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from math import log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.carts import CART, PURCHASE, REMOVE
from contracts.visitor import Action

RATE_FEATURES: tuple[str, ...] = (
    "product_carts_per_view",
    "product_purchases_per_cart",
    "product_purchases_per_view",
    "category_carts_per_view",
    "category_purchases_per_cart",
    "category_purchases_per_view",
)
"""Of the last action's product and category, each as the logarithm of its ratio to the shop's own rate; 0
where nothing is known."""

_STAGES = ((0, 1, 20.0, 1 / 10), (1, 2, 5.0, 1 / 3), (0, 2, 100.0, 1 / 30))
"""Of each rate: what is divided by what, as places in `Funnel` (from, to), how much of the former at the
shop's rate stands for what is not known of the item, and the rate of a shop of which nothing is known. Chosen
on the validation part of RetailRocket."""


class Funnel(NamedTuple):
    """How often something was viewed (or marked as a favourite), put into a cart and bought."""

    views: int = 0
    carts: int = 0
    purchases: int = 0

    def after(self, rank: int) -> "Funnel":
        """With one more action of this rank; removals count for nothing."""
        views, carts, purchases = self
        if rank == CART:
            return Funnel(views, carts + 1, purchases)
        if rank == PURCHASE:
            return Funnel(views, carts, purchases + 1)
        return self if rank == REMOVE else Funnel(views + 1, carts, purchases)

    def without(self, own: "Funnel") -> "Funnel":
        """What others did of it."""
        return Funnel(self.views - own.views, self.carts - own.carts, self.purchases - own.purchases)


NOTHING = Funnel()


def relative_rates(item: Funnel, shop: Funnel) -> list[float]:
    """The item's rates over the shop's, as logarithms, shrunk towards 0 where little is known."""
    rates = []
    for tried, done, weight, prior in _STAGES:
        rate = (shop[done] + 1.0) / (shop[tried] + 1.0 / prior)
        rates.append(log((item[done] / rate + weight) / (item[tried] + weight)))
    return rates


def rates_by_action(by_visitor: Collection[Sequence[Action]]) -> npt.NDArray[np.float32]:
    """`RATE_FEATURES` at each action (n, 6), visitor by visitor.

    They rest on what others did strictly before the action; nothing that this visitor ever did is in them.
    """
    found = np.zeros((sum(map(len, by_visitor)), len(RATE_FEATURES)), dtype=np.float32)
    everyone: dict[_Place, Funnel] = defaultdict(Funnel)
    own: dict[tuple[int, _Place], Funnel] = defaultdict(Funnel)
    for _, together in groupby(_by_time(by_visitor), key=lambda one: one.at_ms):
        now = list(together)
        for _, row, visitor, action in now:
            shop = everyone[_SHOP].without(own[visitor, _SHOP])
            rates: list[float] = []
            for place in _places(action):
                item = everyone[place].without(own[visitor, place]) if place[1] else NOTHING
                rates += relative_rates(item, shop)
            found[row] = rates
        for _, _, visitor, action in now:
            for place in (_SHOP, *_places(action)):
                if place is _SHOP or place[1]:
                    everyone[place] = everyone[place].after(action.rank)
                    own[visitor, place] = own[visitor, place].after(action.rank)
    return found


_Place = tuple[str, str | None]
_SHOP: _Place = ("shop", None)


class _Placed(NamedTuple):
    at_ms: int
    row: int
    visitor: int
    action: Action


def _places(action: Action) -> tuple[_Place, _Place]:
    return ("product", action.product_id), ("category", action.category)


def _by_time(by_visitor: Collection[Sequence[Action]]) -> Iterator[_Placed]:
    rows = [(visitor, action) for visitor, own in enumerate(by_visitor) for action in own]
    placed = [_Placed(action.at_ms, row, visitor, action) for row, (visitor, action) in enumerate(rows)]
    return iter(sorted(placed, key=lambda one: one.at_ms))
