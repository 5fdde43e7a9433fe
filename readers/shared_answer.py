"""One answer shared by everyone who asks within a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The newest result of `read`, made again when older than `max_age_s`.

    A hundred open dashboards then cost Redis what one costs. Whoever comes while a read runs waits for it;
    a failed read is not kept.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], *, max_age_s: float) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def get(self) -> T:
        """The result; raises what `read` raises."""
        kept = self._kept
        if kept is not None and time.monotonic() - kept[0] < self._max_age_s:
            return kept[1]
        async with self._lock:
            now = time.monotonic()
            if self._kept is None or now - self._kept[0] >= self._max_age_s:
                self._kept = None
                self._kept = (now, await self._read())
            return self._kept[1]
