"""What recommendations bring: names of the counters, and figures of an arm against those held out.

Counters are whole numbers that only add, so sums over hours and partitions are exact in any order.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.recommendation_arms import HELD_OUT
from models.quality import Quality
from models.uplift import Arm, UpliftFigures, arm_counter, uplift_figures


class ExposureMetric:
    """Names of the counters. In a bucket a field is `<metric>:<scenario>:<arm>`."""

    EXPOSURES = "n"
    ITEMS = "i"
    CLICKS = "c"
    """Products that were viewed within half an hour, each once an exposure."""
    CARTS = "a"
    """Products that were put into the cart within a day, each once an exposure."""
    PURCHASES = "p"
    UNITS = "u"
    REVENUE = "m."
    """Followed by the currency. Minor units, of exposed products."""

    # Visitors of an arm, with all that they bought within a day of the first exposure.
    VISITORS = "v"
    BUYERS = "vb"
    VISITORS_REVENUE = "vr"
    """In minor units of the shop's currency."""
    SQUARES = "vs"
    """Squares of the revenue in whole units of 100 minor (`models.uplift.SQUARES_OF_MINOR`)."""


@dataclass(frozen=True, slots=True)
class ExposureFigures:
    """Of one scenario in one arm. Rates are per exposure; None where there is none."""

    exposures: int
    items: int
    clicks: int
    click_rate: float | None
    carts: int
    purchases: int
    units: int
    revenue_minor: dict[str, int]
    """By currency."""
    uplift: UpliftFigures
    """Its visitors against those who are held out."""


_OF_UPLIFT = {
    Quality.WATCHED: ExposureMetric.VISITORS,
    Quality.WATCHED_BOUGHT: ExposureMetric.BUYERS,
    Quality.WATCHED_REVENUE: ExposureMetric.VISITORS_REVENUE,
    Quality.WATCHED_SQUARES: ExposureMetric.SQUARES,
}


def exposure_counter(metric: str, scenario: str, arm: str) -> str:
    """The field of a counter."""
    return f"{metric}:{scenario}:{arm}"


def exposure_figures(counts: Mapping[str, int]) -> dict[str, dict[str, ExposureFigures]]:
    """Scenario to arm to figures, of all that there are counters of."""
    arms: dict[tuple[str, str], dict[str, int]] = {}
    for field, count in counts.items():
        metric, scenario, arm = field.split(":", 2)
        arms.setdefault((scenario, arm), {})[metric] = count
    found: dict[str, dict[str, ExposureFigures]] = {}
    for (scenario, arm), own in sorted(arms.items()):
        held_out = arms.get((scenario, HELD_OUT), {})
        found.setdefault(scenario, {})[arm] = _figures(own, held_out)
    return found


def _figures(own: Mapping[str, int], held_out: Mapping[str, int]) -> ExposureFigures:
    n, clicks = own.get(ExposureMetric.EXPOSURES, 0), own.get(ExposureMetric.CLICKS, 0)
    start = ExposureMetric.REVENUE
    return ExposureFigures(
        n,
        own.get(ExposureMetric.ITEMS, 0),
        clicks,
        clicks / n if n else None,
        own.get(ExposureMetric.CARTS, 0),
        own.get(ExposureMetric.PURCHASES, 0),
        own.get(ExposureMetric.UNITS, 0),
        {name[len(start) :]: count for name, count in sorted(own.items()) if name.startswith(start)},
        _uplift(own, held_out),
    )


def _uplift(own: Mapping[str, int], held_out: Mapping[str, int]) -> UpliftFigures:
    kind = "shown"
    counts = {
        arm_counter(name, kind, arm): group.get(metric, 0)
        for arm, group in ((Arm.TOLD, own), (Arm.HELD_OUT, held_out))
        for name, metric in _OF_UPLIFT.items()
    }
    return uplift_figures(counts, kind)
