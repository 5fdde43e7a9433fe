"""GET /v1/recommendations at an even pace beside a worker that applies live events."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import uvloop
from rich.console import Console

from benchmarks.aims import Aim
from benchmarks.http_driver import Tally, drive, make_request
from benchmarks.pace import SETTLE_S
from benchmarks.recommending_shop import KEY, CpuMeter, Shop, live_events, recommending_shop
from benchmarks.services import Services
from benchmarks.tables import show_aims, show_single

CONNECTIONS = 32
P90_AIM_MS, P99_AIM_MS = 7.0, 15.0
_USERS = 2_000


@dataclass(frozen=True, slots=True)
class RecommendationsRow:
    """Answers of one API process beside one worker; `cpu_us` is the API's per answer.

    `cores` has by part how much of a core it took: the driver asks, the sender sends the events, and others
    are all that runs on the machine besides.
    """

    asked_per_s: float
    answered_per_s: float
    events_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_us: float
    sessions: int
    products: int
    cores: dict[str, float]


def measure_recommendations(
    services: Services, *, per_s: float, events_per_s: int, seconds: float, note: Callable[[str], None]
) -> RecommendationsRow:
    """Asks for visitors of the log, whose events go on meanwhile. Raises `RuntimeError` for a bad answer."""
    with recommending_shop(services, note) as shop:
        requests = [
            make_request("GET", f"/v1/recommendations?user_id={user}&limit=10", headers=KEY)
            for user in shop.users[-_USERS:]
        ]
        with (
            live_events(shop, per_s=events_per_s, seconds=SETTLE_S + seconds + 60) as sender_pid,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            ask = partial(drive, shop.url, requests, connections=CONNECTIONS, per_s=per_s)
            note(f"asking for {SETTLE_S:.0f} s that do not count")
            runner.run(ask(seconds=SETTLE_S))
            meter = CpuMeter(shop.pids | {"sender": sender_pid, "driver": os.getpid()})
            tally = runner.run(ask(seconds=seconds))
            spent_s = meter.read()
    return _to_row(tally, per_s, events_per_s, spent_s, shop)


def _to_row(
    tally: Tally, per_s: float, events_per_s: float, spent_s: dict[str, float], shop: Shop
) -> RecommendationsRow:
    if set(tally.statuses) != {200}:
        raise RuntimeError(f"the API answered {dict(tally.statuses)}, 200 is expected")
    return RecommendationsRow(
        per_s,
        tally.per_s,
        events_per_s,
        tally.quantile_ms(0.5),
        tally.quantile_ms(0.9),
        tally.quantile_ms(0.99),
        spent_s["api"] / len(tally.took_s) * 1e6,
        shop.sessions,
        shop.products,
        {name: used_s / tally.wall_s for name, used_s in spent_s.items()},
    )


def show_row(console: Console, row: RecommendationsRow) -> None:
    """The figures and their aims."""
    show_single(console, "GET /v1/recommendations, one API process beside one worker", asdict(row))
    show_aims(
        console,
        [
            Aim("answer p90", row.p90_ms, P90_AIM_MS, " ms", at_most=True),
            Aim("answer p99", row.p99_ms, P99_AIM_MS, " ms", at_most=True),
        ],
    )
