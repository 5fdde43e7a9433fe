"""How long after a click the visitor's recommendations change, beside other live events."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import httpx
import uvloop
from rich.console import Console

from benchmarks.aims import Aim
from benchmarks.pace import SETTLE_S
from benchmarks.recommending_shop import KEY, CpuMeter, Shop, live_events, recommending_shop
from benchmarks.services import Services
from benchmarks.tables import show_aims, show_single

P99_AIM_MS = 250.0
CLICKS_PER_S = 10
POLL_S = 0.005
_LOST_S = 10.0
_PRODUCT = "p{:05d}"
_FIRST_RANK = 3_000
"""Products from here on are clicked: hardly anybody is recommended them before."""


@dataclass(frozen=True, slots=True)
class FreshRow:
    """Milliseconds from the sending of a click to an answer that begins with its product.

    `accepted_p50_ms` is the part of it until the API has the click in Kafka; `cores` as in
    `benchmarks.recommendations_api`.
    """

    events_per_s: int
    clicks: int
    accepted_p50_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cores: dict[str, float]


def measure_freshness(
    services: Services, *, events_per_s: int, seconds: float, note: Callable[[str], None]
) -> FreshRow:
    """Clicks `CLICKS_PER_S` times a second. Raises `RuntimeError` for a click that changes nothing."""
    with (
        recommending_shop(services, note) as shop,
        live_events(shop, per_s=events_per_s, seconds=SETTLE_S + seconds + 60) as sender_pid,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        note(f"clicking for {SETTLE_S:.0f} s that do not count")
        runner.run(_click(shop, SETTLE_S, first=0))
        meter, began_s = CpuMeter(shop.pids | {"sender": sender_pid, "driver": os.getpid()}), time.monotonic()
        took = runner.run(_click(shop, seconds, first=len(shop.users) // 2))
        wall_s, spent_s = time.monotonic() - began_s, meter.read()
    accepted_s, changed_s = (sorted(column) for column in zip(*took, strict=True))
    return FreshRow(
        events_per_s,
        len(took),
        _at(accepted_s, 0.5),
        _at(changed_s, 0.5),
        _at(changed_s, 0.9),
        _at(changed_s, 0.99),
        {name: used_s / wall_s for name, used_s in spent_s.items()},
    )


async def _click(shop: Shop, seconds: float, *, first: int) -> list[tuple[float, float]]:
    """Clicks of visitors in turn; the seconds until each was accepted, and until its answer had changed."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(
        base_url=shop.url, headers=dict(KEY), limits=limits, timeout=_LOST_S
    ) as client:
        clicks = []
        for number in range(int(seconds * CLICKS_PER_S)):
            user = shop.users[(first + number) % len(shop.users)]
            clicks.append(
                asyncio.create_task(_one_click(client, user, _PRODUCT.format(_FIRST_RANK + number % 1_000)))
            )
            await asyncio.sleep(1 / CLICKS_PER_S)
        return await asyncio.gather(*clicks)


async def _one_click(client: httpx.AsyncClient, user_id: str, product_id: str) -> tuple[float, float]:
    began_s = time.perf_counter()
    event = {"event_type": "view", "user_id": user_id, "product_id": product_id}
    sent = await client.post("/v1/events", json=event)
    sent.raise_for_status()
    accepted_s = time.perf_counter() - began_s
    query = {"user_id": user_id, "limit": "10", "preview": "1"}
    while (spent_s := time.perf_counter() - began_s) < _LOST_S:
        answer = await client.get("/v1/recommendations", params=query)
        answer.raise_for_status()
        if any(item["product_id"] == product_id for item in answer.json()["items"]):
            return accepted_s, time.perf_counter() - began_s
        await asyncio.sleep(POLL_S)
    raise RuntimeError(f"a click changed nothing within {spent_s:.0f} s")


def _at(ordered_s: list[float], share: float) -> float:
    return ordered_s[min(len(ordered_s) - 1, int(share * len(ordered_s)))] * 1e3


def show_fresh(console: Console, row: FreshRow) -> None:
    """The figures and their aim."""
    show_single(console, "From a click to recommendations that have its product", asdict(row))
    show_aims(console, [Aim("click to answer p99", row.p99_ms, P99_AIM_MS, " ms", at_most=True)])
