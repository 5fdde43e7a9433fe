"""The windows of `/v1/models`: their buckets, and those that say whether a window can be judged."""

from collections.abc import Mapping
from typing import NamedTuple

from api.resources.models.schemas import Window
from contracts.alerts import CART_ABANDONED, CHURN_RISK
from contracts.buckets import GRAIN_MS, Grain, bucket_start
from contracts.settings import Settings


class WindowSpec(NamedTuple):
    """Grain and number of buckets, the running one included.

    Figures of predictions are given once some were judged `settled` buckets ago or earlier; it is said by
    `settled_words` how long that is.
    """

    grain: Grain
    buckets: int
    settled: int
    settled_words: str


WINDOWS: Mapping[Window, WindowSpec] = {
    # Over an hour what has not ended weighs much: a session and the half hour after it must fit in.
    "1h": WindowSpec("minute", 60, 90, "90 minutes"),
    "24h": WindowSpec("hour", 24, 12, "12 hours"),
}
_SETTLED_BUCKETS = {"1h": 60, "24h": 12}
"""How many buckets are searched for a prediction that was judged so long ago."""


def window_starts(window: Window, as_of_ms: int, *, ago_ms: int = 0) -> range:
    """Starts of the buckets of a window, oldest first; of the window that ended `ago_ms` ago, at least."""
    spec = WINDOWS[window]
    return _starts(spec.grain, spec.buckets, as_of_ms, ago_ms)


def settled_starts(window: Window, as_of_ms: int) -> range:
    """Starts of the buckets in which something must have been judged for the window's figures to be given."""
    spec = WINDOWS[window]
    return _starts(spec.grain, _SETTLED_BUCKETS[window], as_of_ms, spec.settled * GRAIN_MS[spec.grain])


def say_early(window: Window, *, is_settled: bool) -> str:
    """Why predictions cannot be judged over a window yet; empty if they can."""
    if is_settled:
        return ""
    return (
        f"too early: no prediction was judged {WINDOWS[window].settled_words} ago; those about visitors who "
        "leave are judged last, so figures over a shorter time are biased"
    )


def alert_life_ms(kind: str, settings: Settings) -> int:
    """How long an alert of a kind may stay open; 0 where only its extension knows."""
    return {CHURN_RISK: settings.alert_ttl_ms, CART_ABANDONED: settings.cart_recovery_ms}.get(kind, 0)


def say_cohort(window: Window, life_ms: int) -> str:
    """The window of alerts that have all had their time, in words."""
    hours = {"1h": "the hour", "24h": "the 24 hours"}[window]
    return f"in {hours} that ended {_say_span(life_ms)} ago" if life_ms else f"in the last {hours[4:]}"


def _say_span(span_ms: int) -> str:
    minutes = round(span_ms / 60_000)
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"


def _starts(grain: Grain, number: int, as_of_ms: int, ago_ms: int) -> range:
    width_ms = GRAIN_MS[grain]
    end_ms = bucket_start(as_of_ms, grain) + width_ms
    if ago_ms:
        end_ms -= width_ms + -(-ago_ms // width_ms) * width_ms  # whole buckets, and none that is running
    return range(end_ms - number * width_ms, end_ms, width_ms)
