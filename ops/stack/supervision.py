"""Keeping parts of a stack alive: when a part that ended is started again, and how often that was."""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ops.api_client.health import answers
from ops.stack.child import Child, StartError, disk_full
from ops.stack.ports import listens

READY_TIMEOUT_S = 60.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 10.0
STEADY_S = 60.0
"""A part that ran this long starts over with the first delay."""

_log = logging.getLogger(__name__)


def restart_delay_s(failures: int) -> float:
    """Seconds to wait after the `failures`-th end in a row (1 is the first)."""
    return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures - 1, 10)))


@dataclass
class Part:
    """One supervised process of a stack. `watched` is False while somebody else handles it, or it is done."""

    name: str
    where: str
    child: Child
    fatal: bool = False
    """Whether its end is the end of the stack, because a new one would not be the same."""
    watched: bool = True
    restarts: int = 0
    failures: int = 0
    started_at: float = field(default_factory=time.monotonic)
    due_at: float | None = None

    @property
    def log_path(self) -> Path:
        """Its log file."""
        return self.child.log_path


class PartEnded(RuntimeError):
    """A part ended that cannot be replaced; the message has the end of its log."""


def await_answer(part: Part) -> None:
    """Wait until the part itself, not somebody else on its port, answers at `where`; raises `StartError`."""
    port = urlsplit(part.where).port or 0
    part.child.await_ready(lambda: answers(part.where) and listens(part.child.pid, port), READY_TIMEOUT_S)


def check_part(part: Part, now: float) -> bool:
    """Look after one part at `now` (monotonic seconds); True when its state changed.

    Whoever wants its end says so by `watched`; any other end, also one in order, is followed by a start after
    a delay. Raises `PartEnded` for a fatal part.
    """
    if not part.watched or part.child.alive:
        return False
    if part.due_at is None:
        return _schedule(part, now)
    if now < part.due_at:
        return False
    part.due_at = None
    part.started_at = now
    part.restarts += 1
    try:
        part.child.start()
    except StartError as exc:
        _log.warning("%s", exc)
    return True


def _schedule(part: Part, now: float) -> bool:
    code = part.child.exit_code
    if part.fatal:
        raise PartEnded(f"{part.name} ended with exit code {code}; {part.child.log_tail()}")
    part.failures = 1 if now - part.started_at > STEADY_S else part.failures + 1
    part.due_at = now + restart_delay_s(part.failures)
    full = disk_full(part.log_path)
    _log.warning(
        "%s ended with exit code %s, restart in %.1f s%s",
        part.name,
        code,
        part.due_at - now,
        full and f"; {full}",
    )
    return True
