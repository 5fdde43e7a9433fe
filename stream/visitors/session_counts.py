"""What sessions add to the shop's counters: how many there were, how far they came, how they ended."""

from collections.abc import Iterable

from contracts.buckets import Metric, bucket_start
from contracts.visitor import Session

SessionDeltas = dict[tuple[int, str], int]
"""(start of the minute in ms, `Metric`) to the change of a shop counter; a change may be 0."""


def session_counts(closed: Iterable[Session], head: Session, head_ended: bool, idle_ms: int) -> SessionDeltas:
    """What these sessions add to the shop's counters.

    A session counts in the minute of its start; its end, and the cart left behind, in the minute it ended.
    """
    counts: SessionDeltas = {}
    for session in closed:
        _count(counts, session, True, idle_ms)
    _count(counts, head, head_ended, idle_ms)
    return counts


def difference(after: SessionDeltas, before: SessionDeltas) -> SessionDeltas:
    """The change from one to the other."""
    deltas = dict(after)
    for place, number in before.items():
        deltas[place] = deltas.get(place, 0) - number
    return deltas


def _count(counts: SessionDeltas, session: Session, ended: bool, idle_ms: int) -> None:
    start = bucket_start(session.start_ms, "minute")
    views, favorites, carts, _, purchases = session.counts
    _add(counts, start, Metric.SESSIONS)
    if views or favorites:
        _add(counts, start, Metric.SESSIONS_VIEWED)
    if carts:
        _add(counts, start, Metric.SESSIONS_CARTED)
    if purchases:
        _add(counts, start, Metric.SESSIONS_BOUGHT)
    if ended:
        end = bucket_start(session.last_ms + idle_ms, "minute")
        _add(counts, end, Metric.SESSIONS_ENDED)
        if carts and not purchases and session.cart:
            _add(counts, end, Metric.CARTS_ABANDONED)


def _add(counts: SessionDeltas, minute_ms: int, metric: str) -> None:
    counts[minute_ms, metric] = counts.get((minute_ms, metric), 0) + 1
