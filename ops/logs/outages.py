"""One line a minute of what clients of Kafka repeat: while it is away they write a hundred a second."""

import logging
import re
import threading
import time
from collections.abc import Callable

EVERY_S = 60.0
MOST_KINDS = 256
_TALKERS = ("aiokafka", "faust", "kafka", "mode", "stream.consumer.kafka_log")
_AWAY = re.compile(
    r"unable (to )?(connect|request|update)|connect|disconnect|not ready|not available|no brokers?\b"
    r"|marking (the )?coordinator dead|cannot ask|failed fetch|heartbeat (failed|session expired|send)"
    r"|timed? ?out|errno \d+|error sending|cannot send|could not send|findcoordinator|will retry",
    re.IGNORECASE,
)
_OUTAGE = "an outage"
_NO_COORDINATOR = "GroupCoordinatorNotAvailable"
COORDINATOR_S = 10.0
"""A new Kafka takes as long to make its topic of consumer groups; clients that ask meanwhile ask again."""


class OutageLines(logging.Filter):
    """Lets one line through per kind and minute; the next one says how many there were meanwhile.

    All lines about a Kafka that does not answer are of one kind, whichever client writes them and whatever it
    was about to do; other lines of the clients are of a kind if they have the same template.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}
        """Kind to the time of its last line, and how many were left out since."""
        self._no_coordinator: tuple[float, float] | None = None
        """When clients began to ask for a coordinator that is not there, and when they last did."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if not any(record.name == name or record.name.startswith(f"{name}.") for name in _TALKERS):
            return True
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # a mistake in the call; `Redaction` writes what can be seen
            return True
        if _NO_COORDINATOR in message and not self._lacks_coordinator():
            return False
        left_out = self._left_out(_OUTAGE if _AWAY.search(message) else str(record.msg))
        if left_out is None:
            return False
        if left_out:
            record.msg, record.args = f"{message} (and {left_out:,} similar lines since the last one)", None
        return True

    def _lacks_coordinator(self) -> bool:
        """Whether there has been no coordinator for longer than a new Kafka takes to have one."""
        now_s = self._clock()
        with self._lock:
            first_s, last_s = self._no_coordinator or (now_s, now_s)
            if now_s - last_s > COORDINATOR_S:
                first_s = now_s
            self._no_coordinator = first_s, now_s
            return now_s - first_s > COORDINATOR_S

    def _left_out(self, kind: str) -> int | None:
        """Lines left out since the last one of this kind; None if this one is to be left out too."""
        now_s = self._clock()
        with self._lock:
            last_s, left_out = self._kinds.pop(kind, (None, 0))
            if last_s is not None and now_s - last_s < EVERY_S:
                self._kinds[kind] = (last_s, left_out + 1)
                return None
            if len(self._kinds) >= MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
            self._kinds[kind] = (now_s, 0)
            return left_out
