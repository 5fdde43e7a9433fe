"""When a shop is busy, and what it promotes when."""

import math
import random
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from producers.simulator.catalogue import Catalogue, Product

HOUR_MS = 3_600_000
_HOURS = (
    0.45, 0.28, 0.18, 0.13, 0.13, 0.20, 0.40, 0.68, 0.92, 1.10, 1.20, 1.22,
    1.22, 1.20, 1.16, 1.14, 1.18, 1.28, 1.45, 1.66, 1.80, 1.74, 1.36, 0.85,
)  # fmt: skip
_WEEKDAYS = (1.04, 1.00, 0.98, 0.98, 0.95, 0.95, 1.10)
BUSIEST = max(_HOURS) * max(_WEEKDAYS) / (sum(_HOURS) / 24)


def busyness(at_ms: int, zone: ZoneInfo) -> float:
    """Arrivals at this moment relative to the mean over a week; interpolated between hours."""
    local = datetime.fromtimestamp(at_ms / 1_000, zone)
    part = local.minute / 60
    hour = _HOURS[local.hour] * (1 - part) + _HOURS[(local.hour + 1) % 24] * part
    return hour / (sum(_HOURS) / 24) * _WEEKDAYS[local.weekday()]


class Promotion(NamedTuple):
    """A discount on a brand or a category for some time."""

    start_ms: int
    end_ms: int
    field: str
    value: str
    percent: int

    def covers(self, product: Product) -> bool:
        """Whether the product is part of it."""
        return bool(getattr(product, self.field) == self.value)


def plan_promotions(catalogue: Catalogue, rng: random.Random, start_ms: int) -> Iterator[Promotion]:
    """Promotions one after another, without end: about half of the time one is on."""
    at_ms = start_ms + round(rng.uniform(0.0, 1.0) * HOUR_MS)
    while True:
        length_ms = round(math.exp(rng.gauss(math.log(1.5), 0.5)) * HOUR_MS)
        field = rng.choice(("brand", "category"))
        value = str(getattr(rng.choice(catalogue.products), field))
        yield Promotion(at_ms, at_ms + length_ms, field, value, rng.choice((10, 15, 20, 25, 30, 40)))
        at_ms += length_ms + round(rng.expovariate(1.0 / 1.5) * HOUR_MS)
