"""Which time an answer is about: the wall clock on a live stream, the newest event in a replay."""

from collections.abc import Sequence
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


class StreamClock(NamedTuple):
    """The newest event and the newest arrival in any partition (ms); 0 before the first."""

    event_ms: int
    broker_ms: int


class StreamTime(NamedTuple):
    """`as_of_ms` is "now" for every time-relative answer."""

    as_of_ms: int
    mode: Mode


def clock_of(metas: Sequence[PartitionMeta]) -> StreamClock:
    """The clock of all partitions together."""
    return StreamClock(
        max((meta.max_event_ms or 0 for meta in metas), default=0),
        max((meta.broker_ms or 0 for meta in metas), default=0),
    )


def stream_time(clock: StreamClock, *, now_ms: int) -> StreamTime:
    """The time to answer as of; before the first event it is the wall clock."""
    if clock.event_ms and not is_live(*clock):
        return StreamTime(clock.event_ms, "replay")
    return StreamTime(now_ms, "live")


def not_before(time: StreamTime, event_ms: int) -> StreamTime:
    """The time for an answer that has an event of `event_ms`: in a replay the newest known may be older."""
    return StreamTime(event_ms, time.mode) if time.mode == "replay" and event_ms > time.as_of_ms else time
