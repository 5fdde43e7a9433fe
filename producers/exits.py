"""How the producers' commands end: exit codes, and signals."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_ERROR = 1
EXIT_USAGE = 2


@contextmanager
def stop_signal() -> Iterator[Callable[[], int | None]]:
    """Within it SIGINT and SIGTERM set the number that the yielded function returns; a second one kills."""
    seen: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(number, signal.SIG_DFL)

    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: seen[0] if seen else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
