"""What is wrong with Redis as one process knows it: said in one line, once a minute at most."""

import logging
import time
from collections.abc import Callable, Hashable

from connections.redis_troubles import redis_trouble
from connections.troubles import Trouble

log = logging.getLogger(__name__)

SAY_AGAIN_S = 60.0
OF_WRITES = frozenset({"full", "read_only", "disk", "no_replicas", "no_right", "wrong_type"})
"""Troubles under which Redis still answers reads: only a write that was done says that they are over."""
OF_CALLS = frozenset({"no_right", "wrong_type"})
"""Troubles of some commands or keys: that another call was done says nothing of them."""
UNANSWERED = frozenset({"away", "slow"})
"""Nobody said no: to start anew may help, as with an address that has moved."""


class RedisHealth:
    """The trouble that calls to Redis last ran into, until one of the same kind goes well.

    All of a process share one, so that an outage is one line of its log and not one of each caller. A call
    that is made until it is done names itself: what is refused to it alone lasts until it is done or given
    up.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._said_s: dict[str, float] = {}
        self._since_s = 0.0
        self._refused: dict[Hashable, Trouble] = {}
        """What is refused to calls that name themselves, by call."""
        self._shared: Trouble | None = None
        self.trouble: Trouble | None = None

    @property
    def is_refused(self) -> bool:
        """Whether Redis is there and says no: waiting is all that a process can do."""
        return self.trouble is not None and self.trouble.code not in UNANSWERED

    def describe(self) -> str:
        """The trouble in words; empty without one. May be called from another thread."""
        trouble = self.trouble
        return "" if trouble is None else str(trouble)

    def failed(self, exc: BaseException, call: Hashable = None) -> Trouble:
        """A call failed; the trouble, which is logged if that is news."""
        trouble = redis_trouble(exc)
        now_s = self._clock_s()
        if self.trouble is None:
            self._since_s = now_s
        if call is not None and trouble.code in OF_CALLS:
            self._refused[call] = trouble
        else:
            self._refused.pop(call, None)
            self._shared = trouble
        self.trouble = trouble
        said_s = self._said_s.get(trouble.code)
        if said_s is None or now_s - said_s >= SAY_AGAIN_S:
            self._said_s[trouble.code] = now_s
            log.warning("%s; retrying", trouble)
        return trouble

    def answered(self, call: Hashable = None, *, wrote: bool = False) -> None:
        """A call went well; `wrote` says that it changed something."""
        self._refused.pop(call, None)
        if self._shared is not None and (wrote or self._shared.code not in OF_WRITES):
            self._shared = None
        self._judge()

    def give_up(self, call: Hashable) -> None:
        """A call that may have been refused is not made again."""
        if self._refused.pop(call, None) is not None:
            self._judge()

    def _judge(self) -> None:
        before = self.trouble
        self.trouble = next(iter(self._refused.values()), self._shared)
        if before is None or self.trouble is not None:
            return
        now_s = self._clock_s()
        if now_s - self._said_s.get("", now_s - SAY_AGAIN_S) >= SAY_AGAIN_S:
            self._said_s[""] = now_s
            log.info("Redis accepts commands again, after %.0f s", now_s - self._since_s)
