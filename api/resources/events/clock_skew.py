"""A sender's clock against ours, from when it says that it sent."""

from contracts.fields import EARLIEST_MS, InvalidEvent, parse_time

MAX_OFFSET_MS = 24 * 3_600_000
"""A clock that is wrong by more is no clock that runs wrong: such a body was kept and sent again later."""


def clock_offset_ms(sent_at: object, received_ms: int) -> int:
    """What is to be added to the sender's times: `received_ms` less when it sent, by its own clock.

    The time on the way is in it, so exact clocks get some milliseconds. 0 if nothing was told, or if the
    offset is larger than `MAX_OFFSET_MS`. Raises `InvalidEvent` for what is no time.
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
    offset_ms = received_ms - sent_ms
    return offset_ms if -MAX_OFFSET_MS <= offset_ms <= MAX_OFFSET_MS else 0
