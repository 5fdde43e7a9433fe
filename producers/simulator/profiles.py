"""How visitors of a kind of shop behave: the numbers behind the simulation."""

from dataclasses import dataclass
from typing import NamedTuple

from producers.simulator.assortments import COSMETICS, GENERAL, Department


class LogNormal(NamedTuple):
    """A log-normal by its median and the standard deviation of its logarithm."""

    median: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of shop. Probabilities unless said otherwise.

    A session browses (`browse_views`), or shops: it adds `adds` products with some views before each, removes
    some, and buys the cart or leaves it. `buys_directly` are sessions that buy without a cart event, as shops
    with a buy-now button record them. `events_per_arrival` is measured: events per session started by chance,
    those that follow from it included.
    """

    name: str
    departments: tuple[Department, ...]
    n_products: int
    price: LogNormal
    price_sensitivity: float
    """0: visitors do not look at prices; 1: they strongly prefer cheap products when they buy."""
    events_per_arrival: float
    visit_s: float
    """Mean length of a visit, measured."""
    browse_views: LogNormal
    shops: float
    buys_directly: float
    adds: LogNormal
    views_per_add: float
    adds_at_once: float
    """The shopping session starts with an add from a list, without a view."""
    adds_again: float
    """The product just added is added once more."""
    removes: float
    """Share of the cart's lines that are taken out again."""
    kept_cart: float
    """A visitor seen for the first time has a cart from before."""
    kept_lines: LogNormal
    buys: float
    """A visitor with one line in the cart buys it in this session ..."""
    buys_exponent: float
    """... and one with n lines does with `buys * n ** buys_exponent`, at most 0.9: full carts are bought."""
    returns: float
    """A visitor who left something in the cart comes back for it."""
    return_after_s: LogNormal
    buys_on_return: float
    known: float
    """An arriving visitor has been here before."""
    views_again: float
    """The next view is of the same product."""
    favorites: float
    """A view is followed by marking the product as a favourite."""
    gap_s: LogNormal
    quick_gap_s: LogNormal
    """Between adds and removes from a list or the cart page."""


MULTI_CATEGORY = Profile(
    name="multi-category",
    departments=GENERAL,
    n_products=2_000,
    price=LogNormal(200.0, 1.0),
    price_sensitivity=0.2,
    events_per_arrival=3.8,
    visit_s=135.0,
    browse_views=LogNormal(1.62, 1.12),
    shops=0.024,
    buys_directly=0.027,
    adds=LogNormal(0.6, 0.5),
    views_per_add=4.0,
    adds_at_once=0.0,
    adds_again=0.22,
    removes=0.0,
    kept_cart=0.0,
    kept_lines=LogNormal(1.0, 0.5),
    buys=0.53,
    buys_exponent=0.0,
    returns=0.1,
    return_after_s=LogNormal(6 * 3_600, 1.2),
    buys_on_return=0.5,
    known=0.11,
    views_again=0.28,
    favorites=0.0,
    gap_s=LogNormal(33.0, 0.97),
    quick_gap_s=LogNormal(33.0, 0.97),
)

COSMETICS_SHOP = Profile(
    name="cosmetics",
    departments=COSMETICS,
    n_products=2_000,
    price=LogNormal(4.4, 1.05),
    price_sensitivity=0.5,
    events_per_arrival=4.0,
    visit_s=130.0,
    browse_views=LogNormal(0.25, 1.45),
    shops=0.2,
    buys_directly=0.0,
    adds=LogNormal(2.7, 1.3),
    views_per_add=0.47,
    adds_at_once=0.5,
    adds_again=0.05,
    removes=0.66,
    kept_cart=0.12,
    kept_lines=LogNormal(7.0, 0.9),
    buys=0.009,
    buys_exponent=1.75,
    returns=0.35,
    return_after_s=LogNormal(4 * 3_600, 1.5),
    buys_on_return=0.1,
    known=0.3,
    views_again=0.08,
    favorites=0.0,
    gap_s=LogNormal(42.0, 1.25),
    quick_gap_s=LogNormal(7.0, 1.75),
)

DEMO = Profile(
    name="demo",
    departments=GENERAL,
    n_products=600,
    price=LogNormal(45.0, 0.8),
    price_sensitivity=0.35,
    events_per_arrival=3.85,
    visit_s=300.0,
    browse_views=LogNormal(1.0, 1.3),
    shops=0.18,
    buys_directly=0.01,
    adds=LogNormal(1.2, 0.7),
    views_per_add=2.0,
    adds_at_once=0.05,
    adds_again=0.05,
    removes=0.25,
    kept_cart=0.0,
    kept_lines=LogNormal(1.0, 0.5),
    buys=0.4,
    buys_exponent=0.2,
    returns=0.3,
    return_after_s=LogNormal(1_800, 1.2),
    buys_on_return=0.45,
    known=0.3,
    views_again=0.15,
    favorites=0.03,
    gap_s=LogNormal(72.0, 1.1),
    quick_gap_s=LogNormal(18.0, 1.1),
)
"""Between the two, with the pace of RetailRocket and more buyers: a glance shows every kind of event."""

PROFILES = {profile.name: profile for profile in (DEMO, MULTI_CATEGORY, COSMETICS_SHOP)}
