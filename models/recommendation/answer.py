"""What is answered: products in order, each with where it comes from and why."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from models.recommendation.request import Scenario

NO_PRODUCTS = "no_products"
"""Nothing is known of any product."""
RULED_OUT = "ruled_out"
"""Products are known, and the rules allow none of them."""

NOTHING: Mapping[str, str | int | float] = MappingProxyType({})


class Reason(NamedTuple):
    """Why a product is shown: a code of `models.recommendation.reasons` and what its sentence names."""

    code: str
    params: Mapping[str, str | int | float] = NOTHING


class RecommendedItem(NamedTuple):
    """A product. Scores are comparable within one source of one answer only, higher is better."""

    product_id: str
    score: float
    source: str
    """The source of the chain that it comes from: the scenario itself, or a fallback; `pinned` for pins."""
    reason: Reason


class Recommendation(NamedTuple):
    """The answer to a request.

    `answered_by` is the first source that had anything, None if the answer is empty; `empty_because` says why
    then. `tried` are the sources that were asked, in order: each only if those before it left places.
    """

    items: tuple[RecommendedItem, ...]
    scenario: Scenario
    answered_by: str | None
    tried: tuple[str, ...]
    empty_because: str | None = None
