"""Which sources answer a scenario, in order: each is asked only for the places that those before it left."""

from models.recommendation.request import Scenario
from models.recommendation.sources.content import ALIKE, CATALOGUE, NEW
from models.recommendation.sources.orders import BUY_AGAIN, REPLENISH
from models.recommendation.sources.popularity import POPULAR, POPULAR_IN_CATEGORY, TRENDING
from models.recommendation.sources.source import Source
from models.recommendation.sources.together import BOUGHT_TOGETHER, FOR_CART, SIMILAR
from models.recommendation.sources.visitor import FOR_YOU

_LAST = (TRENDING, POPULAR, NEW, CATALOGUE)
"""These never run out before the shop's products do."""

CHAINS: dict[Scenario, tuple[Source, ...]] = {
    Scenario.FOR_YOU: (FOR_YOU, ALIKE, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.SIMILAR: (SIMILAR, ALIKE, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.BOUGHT_TOGETHER: (BOUGHT_TOGETHER, SIMILAR, ALIKE, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.FOR_CART: (FOR_CART, FOR_YOU, ALIKE, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.TRENDING: _LAST,
    Scenario.POPULAR_IN_CATEGORY: (POPULAR_IN_CATEGORY, *_LAST),
    Scenario.BUY_AGAIN: (BUY_AGAIN, FOR_YOU, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.REPLENISH: (REPLENISH, BUY_AGAIN, FOR_YOU, POPULAR_IN_CATEGORY, *_LAST),
    Scenario.NEW: (NEW, ALIKE, POPULAR_IN_CATEGORY, TRENDING, POPULAR, CATALOGUE),
}
