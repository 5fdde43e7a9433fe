"""Buckets of counts: their widths, where they start, and the names of the counts in them."""

from collections.abc import Iterator
from typing import Literal

Grain = Literal["minute", "hour", "day"]

GRAIN_MS: dict[Grain, int] = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
"""Width of a bucket; buckets start at multiples of it since the epoch (UTC)."""

TREND_LANDMARK_MS = 86_400_000
"""Trending scores are kept per day, each relative to its start (forward decay)."""


class Metric:
    """Short field names inside buckets. In product buckets a field is `<metric>:<product_id>`."""

    VIEWS = "v"
    FAVORITES = "f"
    CARTS = "c"
    REMOVES = "x"
    PURCHASES = "p"
    UNITS = "u"
    REVENUE = "m."
    """Followed by the currency: `m.EUR`. Minor units, gross."""
    RETURNED = "ur"
    """Units that went back, in the bucket of the refund."""
    REFUNDED = "r."
    """Followed by the currency: `r.EUR`. Minor units that went back, in the bucket of the refund."""

    # Shop buckets only.
    ORDERS = "o"
    SESSIONS = "s"
    SESSIONS_VIEWED = "sv"
    SESSIONS_CARTED = "sc"
    SESSIONS_BOUGHT = "sp"
    SESSIONS_ENDED = "se"
    """Counted in the bucket of the end; the four above in the bucket of the start."""
    CARTS_ABANDONED = "ca"
    """Sessions that ended without a purchase, something carted and the cart not empty; bucket of the end."""


def bucket_start(at_ms: int, grain: Grain) -> int:
    """Start of the bucket that holds `at_ms`."""
    return at_ms - at_ms % GRAIN_MS[grain]


def bucket_starts(from_ms: int, to_ms: int, grain: Grain) -> Iterator[int]:
    """Starts of the buckets that overlap `[from_ms, to_ms)`."""
    return iter(range(bucket_start(from_ms, grain), to_ms, GRAIN_MS[grain]))
