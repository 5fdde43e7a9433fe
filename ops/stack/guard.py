"""The guard: a tiny process that ends registered process groups when whoever started it dies.

Run as a file, by `ops.stack.child`, with its standard input a pipe from the parent. Lines `+PGID` and `-PGID`
add and remove a group. The pipe closes when the parent ends in any way, kill -9 included; no signal or prctl
says that as surely, on every system and from every thread. It imports nothing of ours: under 10 MB of memory.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 5.0


def read_groups(lines: list[str]) -> list[int]:
    """The process groups still registered after these lines, in order of registration."""
    groups: dict[int, None] = {}
    for line in lines:
        sign, pgid = line[:1], line[1:].strip()
        if sign == "+":
            groups[int(pgid)] = None
        elif sign == "-":
            groups.pop(int(pgid), None)
    return list(groups)


def signal_groups(groups: list[int], signum: int) -> list[int]:
    """The groups that still exist after sending them `signum`."""
    alive = []
    for pgid in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pgid, signum)
            alive.append(pgid)
    return alive


def main() -> None:
    """Wait for the parent's end, then SIGTERM, and after `GRACE_S` SIGKILL, what it left behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    lines = list(sys.stdin)
    groups = signal_groups(read_groups(lines)[::-1], signal.SIGTERM)
    signal_groups(groups, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_S
    while groups and time.monotonic() < deadline:
        time.sleep(0.1)
        groups = signal_groups(groups, 0)
    signal_groups(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
