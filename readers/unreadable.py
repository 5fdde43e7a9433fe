"""Values in Redis that no part of ours wrote, or that were spoiled: said once a minute, and passed over."""

import logging
import time
from collections import Counter
from collections.abc import Callable

_log = logging.getLogger(__name__)

SAY_AGAIN_S = 60.0


class Unreadable:
    """Counts what a process could not read, by the name of what it should have been."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._clock_s = clock_s
        self._said_s: dict[str, float] = {}

    def note(self, what: str, exc: BaseException | str) -> None:
        """One more of these; nothing of the value itself is said."""
        self.counts[what] += 1
        now_s = self._clock_s()
        if now_s - self._said_s.get(what, now_s - SAY_AGAIN_S) < SAY_AGAIN_S:
            return
        self._said_s[what] = now_s
        reason = exc if isinstance(exc, str) else type(exc).__name__
        _log.warning("%s in Redis cannot be read and is skipped (%s); %d so far", what, reason,
                     self.counts[what])  # fmt: skip


UNREADABLE = Unreadable()
"""That of this process."""
