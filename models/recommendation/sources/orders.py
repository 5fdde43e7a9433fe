"""What a customer bought before: what may be bought again, and what is due."""

from collections.abc import Iterable, Sequence

from models.next_basket.repeats import Repeat, find_repeats
from models.recommendation.answer import Reason
from models.recommendation.sources.source import Asked, Candidate, Source

DAY_MS = 86_400_000
EARLY, LATE = 0.7, 3.0
"""A product is due when the time since its last purchase is between these multiples of its interval."""


def repeats_of(asked: Asked) -> list[Repeat]:
    """The products of the customer's orders."""
    orders = sorted(asked.request.orders, key=lambda order: -order.at_ms)
    baskets = [[line.product_id for line in order.lines if line.product_id] for order in orders]
    return find_repeats(baskets, [max(0, asked.request.now_ms - order.at_ms) / DAY_MS for order in orders])


def _due(asked: Asked) -> list[Repeat]:
    return [
        repeat
        for repeat in repeats_of(asked)
        if repeat.times > 1 and repeat.stage is not None and EARLY <= repeat.stage <= LATE
    ]


def _find_again(asked: Asked) -> Iterable[Candidate]:
    return [Candidate(repeat.product_id, repeat.score) for repeat in repeats_of(asked)]


def _find_due(asked: Asked) -> Iterable[Candidate]:
    return [
        Candidate(repeat.product_id, repeat.score / (1.0 + abs((repeat.stage or 0.0) - 1.0)))
        for repeat in _due(asked)
    ]


def _explain_again(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    times = {repeat.product_id: repeat.times for repeat in repeats_of(asked)}
    return [Reason("bought_before", {"times": times[one]}) for one in chosen]


def _explain_due(asked: Asked, chosen: Sequence[str]) -> list[Reason]:
    days = {repeat.product_id: max(1, round(repeat.mean_gap_days or 0.0)) for repeat in _due(asked)}
    return [Reason("due", {"days": days[one]}) for one in chosen]


BUY_AGAIN = Source("buy_again", _find_again, _explain_again)
REPLENISH = Source("replenish", _find_due, _explain_due)
