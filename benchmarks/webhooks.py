"""How soon a healthy receiver of webhooks has its alert, alone and beside receivers that behave badly."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from benchmarks.aims import Aim
from connections.asyncio_redis import open_redis_pool
from contracts.alerts import CART_ABANDONED, Alert, AlertState, Severity, VisitorDetail, encode_alert
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.subjects import visitor
from delivery.webhooks.deliverer import Deliverer
from delivery.webhooks.endpoints import Endpoint, Filters, Secret, make_endpoint_id
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.policy import DeliveryPolicy
from delivery.webhooks.registry import Registry
from delivery.webhooks.sender import Sender
from delivery.webhooks.signing import make_secret
from delivery.webhooks.targets import TargetRules
from readers.reader import Reader

AIM_MS = 1_000.0
PER_S = 20
BURST = 2_000
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """From the alert in Redis to its arrival at the healthy receiver."""

    receivers: str
    alerts: int
    p50_ms: float
    p99_ms: float
    max_ms: float


async def _say_ok(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 OK\r\n\r\n")


async def _say_500(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")


async def _say_429(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 429 No\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n")


async def _hang(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def _drip(writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: y\r\n" * 10:
        if writer.is_closing():
            return
        writer.write(bytes([byte]))
        await asyncio.sleep(1)


async def _send_endlessly(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65_536)
        await writer.drain()


_BAD = {"hangs": _hang, "drips": _drip, "endless": _send_endlessly, "500": _say_500, "429": _say_429}


async def measure_webhooks(redis_url: str, seconds: int) -> tuple[list[WebhookRow], float]:
    """Alone and beside two each of five kinds of bad receivers; then deliveries per second to one."""
    rows = []
    for names in ((), (*_BAD, *_BAD)):
        settings = Settings(redis_url=redis_url, namespace=f"b{uuid.uuid4().hex[:8]}")
        delays = await _measure(settings, names, seconds)
        rows.append(
            WebhookRow(
                f"healthy, {len(names)} bad", len(delays), _at(delays, 0.5), _at(delays, 0.99), delays[-1]
            )
        )
    return rows, await _measure_rate(Settings(redis_url=redis_url, namespace=f"b{uuid.uuid4().hex[:8]}"))


def show_webhooks(console: Console, rows: list[WebhookRow], per_s: float) -> list[Aim]:
    """The table, and the aim."""
    table = Table(title="Alert in Redis to its arrival at a healthy webhook receiver, ms")
    for name in ("receivers", "alerts", "p50", "p99", "slowest"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.receivers, str(row.alerts), f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}", f"{row.max_ms:.0f}"
        )
    console.print(table)
    console.print(f"one receiver that answers at once: {per_s:,.0f} deliveries/s")
    return [Aim("slowest beside bad receivers", rows[-1].max_ms, AIM_MS, " ms", at_most=True)]


async def _measure(settings: Settings, bad: tuple[str, ...], seconds: int) -> list[float]:
    """Delays in ms, sorted."""
    delays: list[float] = []

    def note(body: bytes) -> None:
        delays.append(wall_clock_ms() - orjson.loads(body)["data"]["session"])

    async with _delivering(settings) as (redis, reader, add):
        await add(_say_ok, note)
        for name in bad:
            await add(_BAD[name], None)
        await asyncio.sleep(2.0)
        for number in range(seconds * PER_S):
            await _publish(redis, reader, number)
            await asyncio.sleep(1 / PER_S)
        await _until(lambda: len(delays) >= seconds * PER_S)
    return sorted(delays)


async def _measure_rate(settings: Settings) -> float:
    heard = 0

    def note(_: bytes) -> None:
        nonlocal heard
        heard += 1

    async with _delivering(settings) as (redis, reader, add):
        await add(_say_ok, note)
        await asyncio.sleep(2.0)
        started_s = time.monotonic()
        for number in range(BURST):
            await _publish(redis, reader, number)
        await _until(lambda: heard >= BURST)
        return BURST / (time.monotonic() - started_s)


_Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
_Add = Callable[[_Answer, Callable[[bytes], None] | None], Awaitable[None]]


@asynccontextmanager
async def _delivering(settings: Settings) -> AsyncIterator[tuple[Redis, Reader, _Add]]:
    """A deliverer on a namespace of its own, and a way to add receivers."""
    redis = open_redis_pool(settings)
    reader = Reader(redis, settings)
    registry = Registry(reader)
    policy = DeliveryPolicy()
    sender = Sender(TargetRules(allow_private=True), timeout_s=policy.timeout_s)
    stopping = asyncio.Event()
    task = asyncio.create_task(Deliverer(reader, sender, policy, WebhookMetrics()).run(stopping))
    servers: list[asyncio.Server] = []

    async def add(answer: _Answer, note: Callable[[bytes], None] | None) -> None:
        async def serve(source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await source.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await source.readexactly(length)
                if note is not None:
                    note(body)
                await answer(writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, _HOST, 0)
        servers.append(server)
        url = f"http://{_HOST}:{server.sockets[0].getsockname()[1]}/"
        secret = Secret(make_secret(), wall_clock_ms())
        await registry.add(
            Endpoint(make_endpoint_id(), url, "", Filters(), (secret,), wall_clock_ms(), "bench")
        )

    try:
        yield redis, reader, add
    finally:
        stopping.set()
        await task
        for server in servers:
            server.close()
        keys = [key async for key in redis.scan_iter(match=f"{settings.namespace}:*", count=1_000)]
        await redis.unlink(*keys)
        await redis.aclose()


async def _publish(redis: Redis, reader: Reader, number: int) -> None:
    """One alert; its field `session` carries the time of publication in ms."""
    now_ms = wall_clock_ms()
    alert = Alert(
        alert_id=f"{number:024x}",
        kind=CART_ABANDONED,
        state=AlertState.FIRING,
        severity=Severity.MEDIUM,
        subject=visitor(f"u{number}"),
        episode=1,
        at_ms=now_ms,
        fired_ms=now_ms,
        live=True,
        detail=VisitorDetail(None, now_ms, now_ms, 2, 5_990, "EUR", purchase=None),
        reasons=("no action for 15 minutes",),
    )
    entry = {"id": alert.record_id, "value": encode_alert(alert)}
    await redis.xadd(reader.keys.alerts(), entry)  # type: ignore[arg-type]  # its value type is invariant


async def _until(holds: Callable[[], bool], timeout_s: float = 120.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.01)


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
