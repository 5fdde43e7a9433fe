"""What is asked for: a scenario, what is known of the visitor, and the shop's rules for this answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from contracts.customers import CustomerOrder

MAX_LIMIT = 100
"""Products in one answer."""


class Scenario(StrEnum):
    """What the products are for. Each begins a chain of sources (`models.recommendation.scenarios`)."""

    FOR_YOU = "for_you"
    """What this visitor looks at, puts into the cart or buys next."""
    SIMILAR = "similar"
    """Instead of the product of the page."""
    BOUGHT_TOGETHER = "bought_together"
    """In addition to the product of the page."""
    FOR_CART = "for_cart"
    """In addition to what is in the cart."""
    TRENDING = "trending"
    """What the shop's visitors turn to now."""
    POPULAR_IN_CATEGORY = "popular_in_category"
    """The most popular of the categories asked for, else of those of the page or the visitor."""
    BUY_AGAIN = "buy_again"
    """What this customer bought before, the likeliest first."""
    REPLENISH = "replenish"
    """What this customer buys at intervals and is due now."""
    NEW = "new"
    """Products published lately, those like the visitor's first."""


NEEDS_PRODUCT = frozenset({Scenario.SIMILAR, Scenario.BOUGHT_TOGETHER})
"""Scenarios about the product of a page."""


class InvalidRequest(ValueError):  # named as InvalidEvent is
    """A request that no answer fits; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class Step(NamedTuple):
    """What the visitor did with a product at one time (epoch ms); `mask` has bits of `contracts.sessions`."""

    product_id: str
    mask: int
    at_ms: int


class Boost(NamedTuple):
    """Scores of what it names are multiplied by `factor`, above 0; below 1 it moves them down."""

    of: Literal["product", "category", "brand"]
    value: str
    factor: float


class PriceRange(NamedTuple):
    """Prices in minor units of one currency, bounds included; None: no bound."""

    currency: str
    min_minor: int | None = None
    max_minor: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no price lies between the bounds."""
        low, high = self.min_minor, self.max_minor
        return low is not None and high is not None and low > high


class ActionWeights(NamedTuple):
    """How much a shop wants each action to come next, relative to the others."""

    view: float = 1.0
    cart: float = 1.0
    purchase: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which products may be shown, and in what order beside the scores.

    Sold-out and inactive products, and those not sold in `region`, are never shown. What the catalogue does
    not know breaks no such rule; it has no category and no price.
    """

    exclude: frozenset[str] = frozenset()
    """Products."""
    exclude_bought: bool = False
    exclude_in_cart: bool = True
    exclude_seen: bool = False
    """Whether products that the visitor looked at before are left out. The page's product always is."""
    categories: frozenset[str] = frozenset()
    """Only products of any of these; empty: of all."""
    exclude_categories: frozenset[str] = frozenset()
    price: PriceRange | None = None
    region: str | None = None
    boosts: tuple[Boost, ...] = ()
    pins: tuple[str, ...] = ()
    """Products that come first, in this order, if the other rules allow them."""
    most_per_category: int | None = None
    most_per_brand: int | None = None
    rotation: int | None = None
    """A seed by which products of nearly equal score change places; the same seed gives the same answer."""


NO_RULES, EQUAL_WEIGHTS = Rules(), ActionWeights()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationRequest:
    """One question; raises `InvalidRequest` if its parts contradict each other."""

    now_ms: int
    scenario: Scenario = Scenario.FOR_YOU
    limit: int = 10
    visitor_id: str | None = None
    """Whose own sessions in the index are not asked about themselves."""
    prefix: tuple[Step, ...] = ()
    """The visitor's newest actions, oldest first, those of earlier sessions too."""
    product_id: str | None = None
    """The product of the page."""
    cart: tuple[str, ...] = ()
    bought: frozenset[str] = frozenset()
    """What the visitor bought, as far as it is known."""
    orders: tuple[CustomerOrder, ...] = ()
    """Those of the customer, the newest first."""
    rules: Rules = NO_RULES
    weights: ActionWeights = EQUAL_WEIGHTS

    def __post_init__(self) -> None:
        """See the class."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidRequest("limit.out_of_range", f"must be 1 to {MAX_LIMIT}")
        if self.scenario in NEEDS_PRODUCT and self.product_id is None:
            raise InvalidRequest("product_id.missing", f"{self.scenario.value} is about one product")
        price = self.rules.price
        if price and price.is_empty:
            raise InvalidRequest("price_min.above_max", "must not be above price_max")
        if self.rules.categories and self.rules.categories <= self.rules.exclude_categories:
            raise InvalidRequest("exclude_categories.all", "leaves none of the categories asked for")
        if min(self.weights) < 0 or not any(self.weights):
            raise InvalidRequest("weights.not_positive", "must be 0 or more, one of them above 0")
        if any(not boost.factor > 0 for boost in self.rules.boosts):
            raise InvalidRequest("boosts.not_positive", "factors must be above 0")
        for name in ("most_per_category", "most_per_brand"):
            most = getattr(self.rules, name)
            if most is not None and most < 1:
                raise InvalidRequest(f"{name}.out_of_range", "must be 1 or more")
