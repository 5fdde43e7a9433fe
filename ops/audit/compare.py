"""Totals as expected and as found, in one shape, and their differences in words."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Bucket = tuple[str, str, int, str]
"""`product` or `shop`, grain, start of the bucket in ms, field (`v:<product>`, `s`, ...)."""

EVENT_FIELDS = ("v:", "f:", "c:", "x:", "p:")
"""Beginnings of the product fields that count each event exactly once."""


class CartView(NamedTuple):
    """One line of a cart; the price is that of the last add, in minor units."""

    quantity: int
    price_minor: int | None
    currency: str | None
    added_ms: int


class VisitorView(NamedTuple):
    """What is known of one visitor: sums over everything, and the session that is or was the last.

    `counts` and `session_counts` are views, favourites, carts, removes, purchases.
    """

    first_ms: int
    last_ms: int
    counts: tuple[int, ...]
    units: int
    revenue_minor: dict[str, int]
    session_number: int
    session_start_ms: int
    session_last_ms: int
    session_counts: tuple[int, ...]
    session_units: int
    session_revenue_minor: dict[str, int]
    session_id: str | None
    cart: dict[str, CartView]
    ended: bool


@dataclass(slots=True)
class Totals:
    """Everything that is compared. Buckets of 0 are left out; `counters` are sums over partitions."""

    buckets: dict[Bucket, int] = field(default_factory=dict)
    visitors: dict[str, VisitorView] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    trend: dict[tuple[int, str], float] = field(default_factory=dict)
    """(landmark in ms, product) to its sum of weights."""


def differences(expected: Totals, found: Totals, *, limit: int = 20) -> list[str]:
    """Every difference in words, at most `limit` per kind; empty if all is equal.

    Counters absent from `expected` are not compared.
    """
    buckets = _differing(expected.buckets, found.buckets, 0)
    visitors = _differing(expected.visitors, found.visitors, None)
    found_counters = {name: found.counters[name] for name in expected.counters}
    counters = _differing(expected.counters, found_counters, 0)
    trend = _differing(expected.trend, found.trend, 0.0, same=_nearly_equal) if expected.trend else []
    listed = []
    for kind, lines in (("bucket", buckets), ("visitor", visitors), ("counter", counters), ("trend", trend)):
        listed += [f"{kind} {line}" for line in lines[:limit]]
        if len(lines) > limit:
            listed.append(f"... and {len(lines) - limit} more differences of kind {kind}")
    return listed


def lost_and_doubled(expected: Totals, found: Totals) -> tuple[int, int]:
    """Events missing from and events too many in the day buckets of products or the totals of visitors.

    Each event stands once in either; the larger of the two counts is given.
    """
    by_product = _lost_doubled(_event_counts(expected), _event_counts(found))
    by_visitor = _lost_doubled(
        {user: sum(view.counts) for user, view in expected.visitors.items()},
        {user: sum(view.counts) for user, view in found.visitors.items()},
    )
    return max(by_product[0], by_visitor[0]), max(by_product[1], by_visitor[1])


def _event_counts(totals: Totals) -> dict[Any, int]:
    return {
        bucket: count
        for bucket, count in totals.buckets.items()
        if bucket[0] == "product" and bucket[1] == "day" and bucket[3].startswith(EVENT_FIELDS)
    }


def _lost_doubled(expected: Mapping[Any, int], found: Mapping[Any, int]) -> tuple[int, int]:
    changes = [found.get(name, 0) - expected.get(name, 0) for name in expected.keys() | found.keys()]
    return -sum(change for change in changes if change < 0), sum(change for change in changes if change > 0)


def _differing(
    expected: Mapping[Any, Any],
    found: Mapping[Any, Any],
    absent: object,
    same: Callable[[Any, Any], bool] = lambda a, b: bool(a == b),
) -> list[str]:
    lines = []
    for name in sorted(expected.keys() | found.keys(), key=str):
        wanted, got = expected.get(name, absent), found.get(name, absent)
        if not same(wanted, got):
            lines.append(f"{name}: expected {_show(wanted, got)}, found {_show(got, wanted)}")
    return lines


def _show(value: Any, other: Any) -> str:
    """A value; of two visitors only the fields that differ."""
    if isinstance(value, VisitorView) and isinstance(other, VisitorView):
        return str({k: v for k, v in value._asdict().items() if v != getattr(other, k)})
    return str(value)


def _nearly_equal(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))
