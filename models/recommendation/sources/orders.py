"""What a customer bought before: what may be bought again, and what is due."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from contracts.customers import CustomerOrder
from models.recommendation.answer import Reason
from models.recommendation.sources.source import Asked, Candidate, Source

DAY_MS = 86_400_000
FADE_MS = 60.0 * DAY_MS
"""A purchase counts half after so long."""
EARLY, LATE = 0.7, 3.0
"""A product is due when the time since its last purchase is between these multiples of its interval."""


def bought_at(orders: Sequence[CustomerOrder]) -> dict[str, list[int]]:
    """Product to the times (epoch ms) at which it was bought, one an order, the newest first."""
    times: dict[str, list[int]] = {}
    for order in orders:
        for product_id in dict.fromkeys(line.product_id for line in order.lines if line.product_id):
            times.setdefault(product_id, []).append(order.at_ms)
    return times


def _find_again(asked: Asked) -> Iterable[Candidate]:
    now_ms = asked.request.now_ms
    return [
        Candidate(product_id, sum(0.5 ** (max(0, now_ms - at_ms) / FADE_MS) for at_ms in times))
        for product_id, times in bought_at(asked.request.orders).items()
    ]


def _interval_ms(times: Sequence[int]) -> float | None:
    gaps = [later - earlier for later, earlier in pairwise(times)]
    return max(float(DAY_MS), median(gaps)) if gaps else None


def _find_due(asked: Asked) -> Iterable[Candidate]:
    found = []
    for product_id, times in bought_at(asked.request.orders).items():
        interval_ms = _interval_ms(times)
        if interval_ms is None:
            continue
        waited = (asked.request.now_ms - times[0]) / interval_ms
        if EARLY <= waited <= LATE:
            found.append(Candidate(product_id, len(times) / (1.0 + abs(waited - 1.0))))
    return found


def _explain_again(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    times = bought_at(asked.request.orders)
    return [Reason("bought_before", {"times": len(times[one])}) for one in chosen]


def _explain_due(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    times = bought_at(asked.request.orders)
    days = [round((_interval_ms(times[one]) or DAY_MS) / DAY_MS) for one in chosen]
    return [Reason("due", {"days": one}) for one in days]


BUY_AGAIN = Source("buy_again", _find_again, _explain_again)
REPLENISH = Source("replenish", _find_due, _explain_due)
