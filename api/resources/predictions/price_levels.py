"""The shop's level of prices, which models compare prices with."""

from models.next_action.prices import PriceLevel
from readers.reader import Reader
from readers.shared_answer import SharedAnswer

_LEVEL_AGE_S = 30.0


class PriceLevels(SharedAnswer[PriceLevel]):
    """The level, at most half a minute old."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader.price_level, max_age_s=_LEVEL_AGE_S)
