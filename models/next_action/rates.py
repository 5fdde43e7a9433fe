"""Running conversion rates of products and categories, as everybody else's past tells them.

`rates_by_action` makes them of events, `rates_of_visitor` of a live visitor and of what the stream counts.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from math import log
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.carts import CART, PURCHASE, REMOVE
from contracts.visitor import Action, Visitor

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

STAGES = ((0, 1, 20.0, 1 / 10), (1, 2, 5.0, 1 / 3), (0, 2, 100.0, 1 / 30))
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
        """What others did of it; never below 0, though counts may have begun after what is one's own."""
        views, carts, purchases = self
        return Funnel(max(0, views - own[0]), max(0, carts - own[1]), max(0, purchases - own[2]))

    def joined(self, more: "Funnel") -> "Funnel":
        """What both count together."""
        return Funnel(self.views + more[0], self.carts + more[1], self.purchases + more[2])


NOTHING = Funnel()

Counted = Callable[[str], Funnel]
"""What everybody did, by name: `SHOP`, or an item as `product_name` and `category_name` say it."""
SHOP = "s"


def product_name(product_id: str) -> str:
    """The name under which a product is counted."""
    return "p" + product_id


def category_name(category: str) -> str:
    """The name under which a category is counted."""
    return "c" + category


def relative_rates(item: Funnel, shop: Funnel) -> list[float]:
    """The item's rates over the shop's, as logarithms, shrunk towards 0 where little is known."""
    rates = []
    for tried, done, weight, prior in STAGES:
        rate = (shop[done] + 1.0) / (shop[tried] + 1.0 / prior)
        rates.append(log((item[done] / rate + weight) / (item[tried] + weight)))
    return rates


def rates_of_visitor(visitor: Visitor, counted: Counted) -> list[float]:
    """`RATE_FEATURES` at the last action of a live visitor, which `counted` holds as it holds all before it.

    What the visitor did in the shop is taken out of it wholly, and of the item as far as their recent actions
    tell: older ones are in its counts like anybody's.
    """
    actions = visitor.tail.actions()
    product, category = actions[-1].product_id, actions[-1].category
    own_of_product = own_of_category = NOTHING
    for action in actions:
        if action.product_id == product:
            own_of_product = own_of_product.after(action.rank)
        if action.category == category:
            own_of_category = own_of_category.after(action.rank)
    views, favorites, carts, _, purchases = visitor.totals.counts
    shop = counted(SHOP).without(Funnel(views + favorites, carts, purchases))
    return rates_at(actions[-1], counted, shop, own_of_product, own_of_category)


def rates_at(
    action: Action,
    counted: Counted,
    shop: Funnel,
    own_of_product: Funnel = NOTHING,
    own_of_category: Funnel = NOTHING,
) -> list[float]:
    """`RATE_FEATURES` at an action: of what others did in the shop, and of what everybody did of the item."""
    product = category = NOTHING
    if action.product_id:
        product = counted(product_name(action.product_id)).without(own_of_product)
    if action.category:
        category = counted(category_name(action.category)).without(own_of_category)
    return [*relative_rates(product, shop), *relative_rates(category, shop)]


def rates_by_action(by_visitor: Collection[Sequence[Action]]) -> npt.NDArray[np.float32]:
    """`RATE_FEATURES` at each action (n, 6), visitor by visitor.

    They rest on what others did strictly before the action; nothing that this visitor ever did is in them.
    """
    found = np.zeros((sum(map(len, by_visitor)), len(RATE_FEATURES)), dtype=np.float32)
    everyone: dict[str, Funnel] = defaultdict(Funnel)
    own: dict[tuple[int, str], Funnel] = defaultdict(Funnel)
    for _, together in groupby(_by_time(by_visitor), key=lambda one: one.at_ms):
        now = list(together)
        for _, row, visitor, action in now:
            shop = everyone[SHOP].without(own[visitor, SHOP])
            product, category = _names(action)
            found[row] = rates_at(
                action, everyone.__getitem__, shop, own[visitor, product], own[visitor, category]
            )
        for _, _, visitor, action in now:
            for name in (SHOP, *_names(action)):
                everyone[name] = everyone[name].after(action.rank)
                own[visitor, name] = own[visitor, name].after(action.rank)
    return found


class _Placed(NamedTuple):
    at_ms: int
    row: int
    visitor: int
    action: Action


def _names(action: Action) -> tuple[str, str]:
    return product_name(action.product_id), category_name(action.category or "")


def _by_time(by_visitor: Collection[Sequence[Action]]) -> Iterator[_Placed]:
    rows = [(visitor, action) for visitor, own in enumerate(by_visitor) for action in own]
    placed = [_Placed(action.at_ms, row, visitor, action) for row, (visitor, action) in enumerate(rows)]
    return iter(sorted(placed, key=lambda one: one.at_ms))
