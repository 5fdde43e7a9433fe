"""Receivers of webhooks that behave in every way receivers do: real servers on this machine."""

import asyncio
import contextlib
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from delivery.webhooks.signing import verify
from ops.stack.ports import LOOPBACK


@dataclass
class Received:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> object:
        """The message; raises `InvalidSignature`."""
        return verify(self.body, self.headers, secret)


Answer = Callable[[asyncio.StreamWriter, Received], Awaitable[None]]


@dataclass
class Receiver:
    """A server that answers as `answer` says; it may be replaced at any time."""

    answer: Answer
    url: str = ""
    received: list[Received] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    on_request: Callable[[Received], None] | None = None

    @property
    def ids(self) -> list[str]:
        """Ids of the messages in the order they came."""
        return [one.message_id for one in self.received]

    async def wait_for(self, count: int, timeout_s: float = 20.0) -> list[Received]:
        """The requests, once there are so many."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {
                name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Received(headers, body)
            self.received.append(request)
            if self.on_request is not None:
                self.on_request(request)
            self.arrived.set()
            await self.answer(writer, request)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the sender has gone: that is its right
        finally:
            writer.close()


@asynccontextmanager
async def open_receiver(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port until the block ends; connections that are open then are cut."""
    receiver = Receiver(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # asyncio logs a cancelled handler as an error
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, LOOPBACK, 0, ssl=tls)
    receiver.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def say(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answers so; header names with underscores for hyphens."""

    async def answer(writer: asyncio.StreamWriter, _: Received) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return answer


def say_in_turn(*answers: Answer) -> Answer:
    """The first answer to the first request, and so on; the last one to all others."""
    left = list(answers)

    async def answer(writer: asyncio.StreamWriter, request: Received) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(writer, request)

    return answer


async def hang(_: asyncio.StreamWriter, __: Received) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def drip_head(writer: asyncio.StreamWriter, _: Received) -> None:
    """One byte of the head at a time, faster than a second so that tests are, and never done with it."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_body(writer: asyncio.StreamWriter, _: Received) -> None:
    """A good status line at once, then a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def send_endlessly(writer: asyncio.StreamWriter, _: Received) -> None:
    """A good status line, and a body without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"y" * 65_536)
        await writer.drain()


@cache
def _make_bomb() -> bytes:
    return gzip.compress(bytes(64 * 2**20), 9)


async def bomb(writer: asyncio.StreamWriter, _: Received) -> None:
    """64 MB of zeros in 64 KB."""
    body = _make_bomb()
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    await writer.drain()


async def babble(writer: asyncio.StreamWriter, _: Received) -> None:
    """Not HTTP."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await writer.drain()


async def slam(writer: asyncio.StreamWriter, _: Received) -> None:
    """Closes without a word."""
    with contextlib.suppress(ConnectionError):
        writer.transport.abort()


_OPENSSL = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_SUBJECT = ["-days", "2", "-subj", "/CN=receiver", "-addext"]


def make_certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A self-signed certificate for these names (`DNS:x`, `IP:y`) and its key; needs the program openssl."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        [
            *_OPENSSL,
            *_SUBJECT,
            f"subjectAltName={','.join(names)}",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server needs to show the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
