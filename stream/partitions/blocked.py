"""Partitions that wait for somebody to mend a key or to upgrade, and why: said once, not at every try."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from stream.runtime.metrics import Meter

log = logging.getLogger(__name__)

SAY_AGAIN_S = 60.0
FIRST_TRY_S, MOST_WAIT_S = 1.0, 60.0
"""A partition that others wait for at each try is tried the more rarely, twice as long after each."""


class BlockedPartitions:
    """The reason of each partition that stands still although it is ours."""

    def __init__(self, meter: Meter, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._clock_s = clock_s
        self._reasons: dict[int, str] = {}
        self._said_s: dict[tuple[int, str], float] = {}
        self._waits_s: dict[int, float] = {}
        self._next_try_s: dict[int, float] = {}

    def __bool__(self) -> bool:
        return bool(self._reasons)

    def __iter__(self) -> Iterator[int]:
        return iter(tuple(self._reasons))

    def describe(self) -> tuple[str, ...]:
        """A line for each of them."""
        return tuple(
            f"partition {number} is blocked: {reason}" for number, reason in sorted(self._reasons.items())
        )

    def due(self) -> list[int]:
        """Those that are to be tried again now."""
        now_s = self._clock_s()
        return [number for number in self._reasons if self._next_try_s.get(number, 0.0) <= now_s]

    def add(self, number: int, reason: str, *, backs_off: bool = False) -> None:
        """The partition stands still for this reason; one that `backs_off` is tried again later and later."""
        if backs_off:
            wait_s = min(2 * self._waits_s.get(number, FIRST_TRY_S / 2), MOST_WAIT_S)
            self._waits_s[number], self._next_try_s[number] = wait_s, self._clock_s() + wait_s
            reason = f"{reason}; it is tried again at most {MOST_WAIT_S:.0f} s later"
        self._reasons[number] = reason
        self._meter.blocked.set(len(self._reasons))
        now_s = self._clock_s()
        said_s = self._said_s.get((number, reason))
        if said_s is None or now_s - said_s >= SAY_AGAIN_S:
            self._said_s[number, reason] = now_s
            log.error(
                "partition %d is blocked, the others continue: %s; it continues once this is fixed",
                number,
                reason,
            )

    def remove(self, number: int) -> None:
        """The partition goes on."""
        self._forget_tries(number)
        if self._reasons.pop(number, None) is not None:
            self._meter.blocked.set(len(self._reasons))
            log.info("partition %d continues", number)

    def forget(self, numbers: Iterable[int]) -> None:
        """The partitions are no longer ours, or claimed anew."""
        for number in numbers:
            self._forget_tries(number)
            self._reasons.pop(number, None)
        self._meter.blocked.set(len(self._reasons))

    def _forget_tries(self, number: int) -> None:
        self._waits_s.pop(number, None)
        self._next_try_s.pop(number, None)
