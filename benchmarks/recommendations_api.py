"""GET /v1/recommendations at an even pace beside a worker that applies live events."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.aims import Aim
from benchmarks.api import ROOT_KEY
from benchmarks.heartbeats import await_model
from benchmarks.http_driver import Tally, drive, make_request
from benchmarks.pace import send_paced
from benchmarks.race import START_TIMEOUT_S, applied_counter, await_applied, cpu_s, start_contender
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from benchmarks.shop_log import make_events, preload
from benchmarks.tables import show_aims
from contracts.clock import wall_clock_ms
from ops.api_client.calls import ApiCalls
from ops.api_client.health import answers
from ops.stack.child import Child
from ops.stack.ports import LOOPBACK, pick_port
from ops.stack.record import settings_environment

STATE_EVENTS = 100_000
CONNECTIONS = 32
P90_AIM_MS, P99_AIM_MS = 7.0, 15.0
_USERS = 2_000


@dataclass(frozen=True, slots=True)
class RecommendationsRow:
    """Answers of one API process beside one worker; `cpu_us` is the API's per answer."""

    asked_per_s: float
    answered_per_s: float
    events_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_us: float
    sessions: int
    products: int


def measure_recommendations(
    services: Services, *, per_s: float, events_per_s: int, seconds: float, note: Callable[[str], None]
) -> RecommendationsRow:
    """Asks for visitors of the log, whose events go on meanwhile. Raises `RuntimeError` for a bad answer."""
    settings = make_settings(services, scoring=True, root_key=ROOT_KEY, api_port=pick_port())
    create_topics(settings)
    worker = api = None
    try:
        note(f"making the state of {STATE_EVENTS:,} events")
        first_ms = wall_clock_ms() - STATE_EVENTS
        preload(settings, make_events(STATE_EVENTS, first_ms=first_ms, step_ms=1.0, seed=7), progress=_ignore)
        worker = start_contender(services, settings, "storepulse_worker")
        await_model(services.client, settings, worker)
        await_applied(applied_counter(services.client, settings), STATE_EVENTS, worker)
        env = settings_environment(settings) | {"STOREPULSE_ROOT_KEY": ROOT_KEY}
        api = Child(
            "api", [sys.executable, "-P", "-m", "ops.cli", "api"], services.folder / "api.log", env=env
        )
        api.start()
        url = f"http://{LOOPBACK}:{settings.api_port}"
        api.await_ready(partial(answers, f"{url}/livez"), START_TIMEOUT_S)
        part = _await_sessions(url)
        note(part)
        sending = threading.Thread(
            target=send_paced,
            args=(settings, lambda _: _ignore_answer),
            kwargs={"rate": events_per_s, "seconds": seconds + 8, "progress": _ignore},
        )
        sending.start()
        time.sleep(5)
        users = list({event.user_id: 0 for event in make_events(STATE_EVENTS, first_ms=0, step_ms=1, seed=7)})
        requests = [
            make_request("GET", f"/v1/recommendations?user_id={user}&limit=10", headers=_key())
            for user in users[-_USERS:]
        ]
        before_s = cpu_s(api.pid)
        tally = asyncio.run(drive(url, requests, connections=CONNECTIONS, seconds=seconds, per_s=per_s))
        spent_s = cpu_s(api.pid) - before_s
        sending.join()
        return _to_row(tally, per_s, events_per_s, spent_s, part)
    finally:
        for child in (worker, api):
            if child is not None:
                child.kill()
        drop_state(services, settings)
        drop_topics(settings)


def _to_row(tally: Tally, per_s: float, events_per_s: float, spent_s: float, part: str) -> RecommendationsRow:
    if set(tally.statuses) != {200}:
        raise RuntimeError(f"the API answered {dict(tally.statuses)}, 200 is expected")
    sessions, products = (int(word.replace(",", "")) for word in (part.split()[0], part.split()[3]))
    return RecommendationsRow(
        per_s,
        tally.per_s,
        events_per_s,
        tally.quantile_ms(0.5),
        tally.quantile_ms(0.9),
        tally.quantile_ms(0.99),
        spent_s / len(tally.took_s) * 1e6,
        sessions,
        products,
    )


def _await_sessions(url: str) -> str:
    """What `/readyz` says of the index once it has sessions."""
    calls = ApiCalls(url, {"Authorization": f"Bearer {ROOT_KEY}"})
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        detail = str(calls.ask("GET", "/readyz")["parts"]["recommendations"]["detail"])
        if detail[0].isdigit() and not detail.startswith("0 "):
            return detail
        time.sleep(0.2)
    raise RuntimeError("the API has read no sessions")


def _key() -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {ROOT_KEY}")]


def _ignore(_: Any) -> None:
    pass


def _ignore_answer(_error: Any, _message: Any) -> None:
    pass


def show_row(console: Console, row: RecommendationsRow) -> None:
    """The figures and their aims."""
    table = Table(title="GET /v1/recommendations, one API process beside one worker")
    fields = asdict(row)
    for name in fields:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_row(
        *[f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in fields.values()]
    )
    console.print(table)
    show_aims(
        console,
        [
            Aim("answer p90", row.p90_ms, P90_AIM_MS, " ms", at_most=True),
            Aim("answer p99", row.p99_ms, P99_AIM_MS, " ms", at_most=True),
        ],
    )
