"""What workers count of recommendations."""

from models.exposures import ExposureMetric, exposure_counter
from models.uplift import SQUARES_OF_MINOR


def count_shown(arm: str, visitors: int, buyers: int, minor: int, **more: int) -> dict[str, int]:
    """Counters of a scenario's arm, each of whose visitors saw two answers, and each buyer paid `minor`."""
    figures = {
        ExposureMetric.EXPOSURES: 2 * visitors,
        ExposureMetric.VISITORS: visitors,
        ExposureMetric.BUYERS: buyers,
        ExposureMetric.VISITORS_REVENUE: buyers * minor,
        ExposureMetric.SQUARES: buyers * minor**2 // SQUARES_OF_MINOR**2,
        **more,
    }
    return {exposure_counter(metric, "for_you", arm): number for metric, number in figures.items()}
