"""When each item of a history was bought: decayed shares of baskets, gaps in days, time of day."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from models.next_basket.baskets import Baskets, Floats, Ints
from models.next_basket.features import UNKNOWN
from models.next_basket.frequency import days_before

BASKET_DECAYS: Mapping[str, float] = MappingProxyType({"share_80": 0.8, "share_95": 0.95, "share_98": 0.98})
"""Shares in which a basket counts so much of the next one."""
HALF_LIVES_DAYS: Mapping[str, float] = MappingProxyType(
    {"share_10_days": 10.0, "share_30_days": 30.0, "share_90_days": 90.0}
)
"""Shares in which a basket counts half as much after so many days."""
_HOURS_AROUND = 2.0
"""Width of what counts as the same time of day."""
_LEAST_SPREAD = 0.3
"""Of the logarithms of an item's gaps: two equal gaps are no evidence of a clock."""


def describe_purchases(histories: Baskets) -> dict[str, Floats]:
    """Columns by pair of user and item, in order of `Pairs.key`; what needs times is -1 without them.

    `log_gap` is the mean of log(1 + days) between purchases, `gap_spread` its standard deviation, `overdue`
    how far the time since the last purchase is above it, as the exponential of that difference in spreads,
    `gaps_passed` the share of the gaps that were no longer. `basket_size`: mean items of the
    baskets with it; `basket_parts`: the sum of 1 / items of each.
    """
    line_basket = histories.by_line(np.arange(histories.n_baskets))
    keys = histories.line_keys()
    order = np.lexsort((line_basket, keys))
    keys, baskets = keys[order], line_basket[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: len(keys)])
    counts = np.diff(np.append(first, len(keys)))
    user = keys[first] // np.int64(histories.n_items)
    ages = histories.ages().astype(np.float64)

    def share_of(weights: Floats, prior: float = 0.0) -> Floats:
        totals = np.bincount(histories.owners(), weights=weights, minlength=histories.n_users)
        return np.asarray(np.add.reduceat(weights[baskets], first) / (totals[user] + prior))

    columns = {name: share_of(decay**ages) for name, decay in BASKET_DECAYS.items()}
    sizes = histories.sizes()[baskets].astype(np.float64)
    columns["basket_size"] = np.add.reduceat(sizes, first) / counts
    columns["basket_parts"] = np.add.reduceat(1 / sizes, first)
    if histories.at_days is None:
        return columns
    days = days_before(histories)
    columns |= {name: share_of(0.5 ** (days / half)) for name, half in HALF_LIVES_DAYS.items()}
    columns["hour_share"] = share_of(closeness_of_hours(histories), prior=0.5)
    return columns | _gaps(days[baskets], first, counts)


def closeness_of_hours(histories: Baskets) -> Floats:
    """1 for baskets at the time of day of asking, less the further from it (baskets,)."""
    at_days, asked = histories.at_days, histories.asked_days
    if at_days is None:
        raise ValueError("baskets must have times to be compared by time of day, got baskets without")
    if asked is None:
        asked = at_days[histories.user_starts[1:] - 1]
    apart = np.abs(at_days - asked[histories.owners()]) % 1.0
    hours = 24.0 * np.minimum(apart, 1.0 - apart)
    return np.asarray(np.exp(-((hours / _HOURS_AROUND) ** 2)))


def _gaps(days: Floats, first: Ints, counts: Ints) -> dict[str, Floats]:
    """Of runs of purchases, oldest first; `days` before the moment of asking."""
    has_gap = np.append(False, np.ones(max(0, len(days) - 1), bool))[: len(days)]
    has_gap[first] = False
    gaps = np.where(has_gap, np.append(0.0, days[:-1] - days[1:])[: len(days)], 0.0)
    logs = np.log1p(gaps)
    n_gaps = np.maximum(counts - 1, 1)
    mean = np.add.reduceat(logs, first) / n_gaps
    spread = np.sqrt(np.maximum(np.add.reduceat(logs**2, first) / n_gaps - mean**2, 0.0))
    since = days[first + counts - 1]
    passed = has_gap & (gaps <= np.repeat(since, counts))
    again = counts > 1
    return {
        "log_gap": np.where(again, mean, UNKNOWN),
        "gap_spread": np.where(counts > 2, spread, UNKNOWN),
        "overdue": np.where(
            again, np.exp((np.log1p(np.maximum(since, 0.0)) - mean) / (_LEAST_SPREAD + spread)), UNKNOWN
        ),
        "gaps_passed": np.where(again, np.add.reduceat(passed.astype(np.float64), first) / n_gaps, UNKNOWN),
    }
