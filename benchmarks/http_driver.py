"""An HTTP/1.1 driver: connections that stay open, requests made beforehand, every answer counted.

It parses only what it needs (status and Content-Length), so that it takes less CPU than what it measures.
"""

import asyncio
import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Unexpected(RuntimeError):
    """An answer or an end of a connection that spoils the measurement; says which."""


@dataclass(slots=True)
class Tally:
    """Answers by status, and the seconds each took, from when it was due."""

    statuses: Counter[int] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    wall_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers per second of wall clock."""
        return len(self.took_s) / self.wall_s

    def quantile_ms(self, share: float) -> float:
        """The time below which this share of the answers came, in ms."""
        ordered = sorted(self.took_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3


class _Connection(asyncio.Protocol):
    """One request at a time; `ask` gives the status of its answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = -1
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            asyncio.Transport, transport
        )  # TCP gives nothing else; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._need < 0:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            at = head.find(_LENGTH)
            length = 0 if at < 0 else int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
            self._need = end + len(_HEAD_END) + length
        if len(self._buffer) >= self._need and self._answer is not None:
            status = int(self._buffer[9:12])
            del self._buffer[: self._need]
            self._need = -1
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(Unexpected(f"the connection ended before the answer: {exc!r}"))

    async def ask(self, request: bytes) -> int:
        """Send one request and wait for the status of its answer."""
        if self._transport is None or self._transport.is_closing():
            raise Unexpected("the server closed the connection between two requests")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()


def make_request(
    method: str, path: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def drive(
    url: str, requests: Sequence[bytes], *, connections: int, seconds: float, per_s: float | None = None
) -> Tally:
    """Send the requests in turn for `seconds`: as fast as the answers come, or `per_s` of them evenly.

    At an even pace a request that could not be sent in time counts from when it was due, so that a server
    that falls behind cannot hide it. Raises `Unexpected`.
    """
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    host, port = where.hostname or "localhost", where.port or 80
    made = [await loop.create_connection(_Connection, host, port) for _ in range(connections)]
    pool = [connection for _, connection in made]
    tally = Tally()
    turn = itertools.cycle(requests)
    began_s = time.perf_counter()
    try:
        if per_s is None:
            await asyncio.gather(*[_as_fast(c, turn, began_s + seconds, tally) for c in pool])
        else:
            due = deque(began_s + n / per_s for n in range(int(per_s * seconds)))
            await asyncio.gather(*[_when_due(c, turn, due, tally) for c in pool])
    finally:
        for connection in pool:
            connection.close()
    tally.wall_s = time.perf_counter() - began_s
    return tally


async def _as_fast(connection: _Connection, turn: Iterator[bytes], until_s: float, tally: Tally) -> None:
    while (began_s := time.perf_counter()) < until_s:
        tally.statuses[await connection.ask(next(turn))] += 1
        tally.took_s.append(time.perf_counter() - began_s)


async def _when_due(connection: _Connection, turn: Iterator[bytes], due: deque[float], tally: Tally) -> None:
    while due:
        due_s = due.popleft()
        ahead_s = due_s - time.perf_counter()
        if ahead_s > 0:
            # Timers of event loops have whole milliseconds, and uvloop's may be early.
            await asyncio.sleep(math.ceil(ahead_s * 1e3) / 1e3)
        tally.statuses[await connection.ask(next(turn))] += 1
        tally.took_s.append(time.perf_counter() - due_s)
