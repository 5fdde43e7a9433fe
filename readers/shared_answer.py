"""One answer shared by everyone who asks within a moment."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The newest result of `read`, made again when older than `max_age_s`.

    A hundred open dashboards then cost Redis what one costs. Whoever comes while a read runs waits for it;
    a failed read is not kept. Where many ask, nobody waits if it is made again before it is too old: by the
    first who asks after `renew_after_s`, who is given the old one.
    """

    def __init__(
        self, read: Callable[[], Awaitable[T]], *, max_age_s: float, renew_after_s: float | None = None
    ) -> None:
        self._read = read
        self._max_age_s = max_age_s
        self._renew_after_s = max_age_s if renew_after_s is None else renew_after_s
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def get(self) -> T:
        """The result; raises what `read` raises."""
        kept = self._kept
        if kept is not None:
            age_s = time.monotonic() - kept[0]
            if age_s < self._max_age_s:
                if age_s >= self._renew_after_s and self._renewing is None:
                    self._renewing = asyncio.create_task(self._renew())
                return kept[1]
        async with self._lock:
            now = time.monotonic()
            if self._kept is None or now - self._kept[0] >= self._max_age_s:
                self._kept = None
                self._kept = (now, await self._read())
            return self._kept[1]

    async def _renew(self) -> None:
        try:
            # If it fails, whoever asks when the result is too old reads it then, and is told.
            with contextlib.suppress(Exception):
                async with self._lock:
                    began_s = time.monotonic()
                    self._kept = (began_s, await self._read())
        finally:
            self._renewing = None
