"""The price level of a partition: a running mean that tells whether a price is high for this shop."""

from collections.abc import Mapping
from typing import Any

from contracts.key_families import META
from models.next_action.prices import PriceLevel
from stream.batch.result import NO_CHANGE, BatchResult, Change
from stream.components.component import Applied, Component
from stream.state.writes import SetInHash

PRICES = "prices"
_MEAN_LOG, _WEIGHT = "price_mean_log", "price_weight"


class Prices(Component[PriceLevel, None]):
    """Keeps the level in the meta hash."""

    name = PRICES

    def load(self, found: Mapping[str, Any]) -> PriceLevel:
        """See `Component.load`."""
        meta = found[META]
        return PriceLevel(float(meta.get(_MEAN_LOG, 0)), float(meta.get(_WEIGHT, 0)))

    def apply(self, state: PriceLevel, applied: Applied[None]) -> Change:
        """See `Component.apply`."""
        if not applied.counts.prices:
            return NO_CHANGE
        level = state.after_all(applied.counts.prices)
        values = {_MEAN_LOG: repr(level.mean_log), _WEIGHT: repr(level.weight)}
        return Change(level, [SetInHash(META, values)])


def level_of(states: Mapping[str, Any], result: BatchResult) -> PriceLevel:
    """The level after a batch of a partition, given the states of its components before."""
    level: PriceLevel = states[PRICES]
    after: PriceLevel | None = result.changes.get(PRICES, NO_CHANGE).state
    return level if after is None else after
