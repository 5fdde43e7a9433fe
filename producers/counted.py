"""What the stream has counted of what a replay sent, and what it has left out."""

import time
from collections.abc import Callable
from typing import NamedTuple

from producers.lag import LagUnknown, RedisOffsets, lag_events
from producers.sender import Sender

PATIENCE_S = 10.0
"""A stream that applies nothing for so long is not waited for."""
_POLL_S = 0.1


class Counted(NamedTuple):
    """Counters of the stream, as they grew since the replay began; and records that it has not got to yet."""

    counts: dict[str, int]
    waiting: int


class CountedMeanwhile:
    """Compares the stream's counters of all partitions; those of other senders are among them."""

    def __init__(self, offsets: RedisOffsets) -> None:
        """Raises `LagUnknown`."""
        self._offsets = offsets
        self._before = offsets.read_totals()

    def finish(
        self,
        sender: Sender,
        *,
        wait: bool,
        on_wait: Callable[[int], bool] = lambda _: True,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> Counted | None:
        """The counts once all that was sent is applied, or now without `wait`; None if Redis is away.

        It is waited for as long as the stream gets on and `on_wait`, which is told how many wait, agrees.
        """
        try:
            seen, moved_s = -1, clock_s()
            while (waiting := self._read_lag(sender)) and wait:
                if waiting != seen:
                    seen, moved_s = waiting, clock_s()
                if clock_s() - moved_s > PATIENCE_S or not on_wait(waiting):
                    break
                time.sleep(_POLL_S)
            after = self._offsets.read_totals()
        except LagUnknown:
            return None
        return Counted({name: after[name] - self._before[name] for name in after}, waiting)

    def _read_lag(self, sender: Sender) -> int:
        return lag_events(sender.starts, sender.ends, self._offsets.read())


def open_counted(offsets: RedisOffsets | None) -> CountedMeanwhile | None:
    """None where Redis is not to be asked, or does not answer: a replay can do without."""
    try:
        return None if offsets is None else CountedMeanwhile(offsets)
    except LagUnknown:
        return None
