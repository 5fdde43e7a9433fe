"""How long a thread of the worker may keep Python's global lock while another waits for it."""

import asyncio
import sys
from collections.abc import Callable

LIVE_S = 0.0005
BACKLOG_S = 0.005
"""Python's default. A call of the model asks for the lock several times, so in live traffic it would spend
most of its time waiting; in a backlog every switch costs some of the processor's cache."""
LOOK_S = 0.1


async def tune_switching(is_behind: Callable[[], bool]) -> None:
    """Let threads take turns quickly unless the worker is behind, until cancelled; then as Python has it."""
    try:
        while True:
            sys.setswitchinterval(BACKLOG_S if is_behind() else LIVE_S)
            await asyncio.sleep(LOOK_S)
    finally:
        sys.setswitchinterval(BACKLOG_S)
