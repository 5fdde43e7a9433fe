"""Which time an answer is about: the wall clock on a live stream, the newest event in a replay."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from contracts.clock import is_live

Mode = Literal["live", "replay"]


class PartitionMeta(NamedTuple):
    """What one partition says of itself; times in ms, None before the first event."""

    max_event_ms: int | None
    broker_ms: int | None
    applied: int
    duplicates: int
    late: int
    rejected: int
    lost: int
    forgotten: int
    """Events of deleted visitors that were kept out."""


class StreamTime(NamedTuple):
    """`as_of_ms` is "now" for every time-relative answer."""

    as_of_ms: int
    mode: Mode


def stream_time(metas: Iterable[PartitionMeta], *, now_ms: int) -> StreamTime:
    """The time to answer as of; before the first event it is the wall clock."""
    event_ms, broker_ms = 0, 0
    for meta in metas:
        event_ms = max(event_ms, meta.max_event_ms or 0)
        broker_ms = max(broker_ms, meta.broker_ms or 0)
    if event_ms and not is_live(event_ms, broker_ms):
        return StreamTime(event_ms, "replay")
    return StreamTime(now_ms, "live")


def not_before(time: StreamTime, event_ms: int) -> StreamTime:
    """The time for an answer that has an event of `event_ms`: in a replay the newest known may be older."""
    return StreamTime(event_ms, time.mode) if time.mode == "replay" and event_ms > time.as_of_ms else time
