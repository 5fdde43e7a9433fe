"""A sender's clock against ours, from when it says that it sent."""

from collections import OrderedDict
from collections.abc import Hashable

from api.http.query_times import LATEST_MS
from contracts.fields import EARLIEST_MS, MAX_AHEAD_MS, InvalidEvent, parse_time

MAX_OFFSET_MS = 24 * 3_600_000
"""A clock that is wrong by more is no clock that runs wrong: such a body was kept and sent again later."""
MAX_TRANSIT_MS = 10 * 60_000
"""A body may be on its way for so long; whatever is less says nothing of the sender's clock."""
_MAX_CLIENTS = 65_536


def clock_offset_ms(sent_at: object, received_ms: int) -> int:
    """`received_ms` less when it was sent by the sender's clock: how wrong that is, and the time on the way.

    0 if nothing was told, or if the offset is larger than `MAX_OFFSET_MS`. Raises `InvalidEvent` for what is
    no time.
    """
    if sent_at is None:
        return 0
    try:
        sent_ms = sent_at if type(sent_at) is int else parse_time(sent_at)
    except InvalidEvent as exc:
        rule = exc.code.partition(".")[2]
        raise InvalidEvent(f"sent_at.{rule}", exc.detail.replace("event_time", "sent_at")) from None
    if sent_ms < EARLIEST_MS:
        raise InvalidEvent(
            "sent_at.too_early",
            "sent_at is before 2000; an integer must be epoch milliseconds, not seconds",
        )
    if sent_ms >= LATEST_MS:
        raise InvalidEvent(
            "sent_at.too_late",
            "sent_at is after 2100; an integer must be epoch milliseconds, not microseconds",
        )
    offset_ms = received_ms - sent_ms
    return offset_ms if -MAX_OFFSET_MS <= offset_ms <= MAX_OFFSET_MS else 0


class ClientClocks:
    """What is added to the times of each client, in one process.

    Only an offset that cannot be transit is a wrong clock. A client's correction stays as it is while the
    time on the way explains what differs, or a slow body would overtake the one after it.
    """

    def __init__(self) -> None:
        self._corrections: OrderedDict[Hashable, int] = OrderedDict()

    def correct(self, client: Hashable, offset_ms: int) -> int:
        """What is to be added to times that this client sent with this offset (`clock_offset_ms`)."""
        correction_ms = self._corrections.pop(client, 0)
        if not _is_transit(offset_ms - correction_ms):
            correction_ms = 0 if _is_transit(offset_ms) else offset_ms
        self._corrections[client] = correction_ms
        if len(self._corrections) > _MAX_CLIENTS:
            self._corrections.popitem(last=False)
        return correction_ms


def _is_transit(offset_ms: int) -> bool:
    return -MAX_AHEAD_MS <= offset_ms <= MAX_TRANSIT_MS
