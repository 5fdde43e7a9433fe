"""The processor's time for work that may wait."""

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def lower_priority(niceness: int) -> None:
    """Set the niceness of this process (0 to 19), and let it count beside every other process.

    Where Linux groups processes by session (autogroups), sessions share the processor alike, and niceness
    counts within one only. So this process begins a session of its own: Ctrl-C in a terminal does not reach
    it any more.
    """
    os.nice(niceness - os.nice(0))
    with suppress(OSError):  # the leader of a process group cannot
        os.setsid()
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # there are no autogroups
            _AUTOGROUP.write_text(str(niceness))
