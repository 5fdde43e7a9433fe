"""The API against bare FastAPI routes on the same machine: collecting by batch size, and reads."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import orjson

from benchmarks.alerts import MANY_ALERTS
from benchmarks.heartbeats import await_model
from benchmarks.http_driver import Tally, drive, make_request
from benchmarks.race import START_TIMEOUT_S, applied_counter, await_applied, cpu_s, start_contender
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from benchmarks.shop_log import make_events, preload
from contracts.clock import wall_clock_ms
from contracts.events import encode
from contracts.keys import Keys
from contracts.settings import Settings
from ops.api_client.health import answers
from ops.stack.child import Child
from ops.stack.ports import LOOPBACK, pick_port
from ops.stack.record import settings_environment

BATCHES = {1: 32, 20: 16, 500: 4}
"""Events in a request, and how many connections send such requests."""
READ_CONNECTIONS = 16
STATE_EVENTS = 30_000
VISITORS_READ = 500
ALERTS_PAGE = 20
ROOT_KEY = "benchmark-root-key-of-no-installation-0000"
COLLECT_AIM, READ_AIM, READ_P99_AIM_MS = 0.7, 0.5, 15.0
SECONDS = 4.0
_OURS, _BARE = "ours", "bare"


@dataclass(frozen=True, slots=True)
class Laps:
    """Medians over the runs of one kind of request, ours and the bare route's."""

    title: str
    events: int
    """Events in a request; 0 for a read."""
    ours_per_s: float
    bare_per_s: float
    ours_cpu_us: float
    bare_cpu_us: float
    """CPU of the server per request: what is left of the ratio on a machine that others use too."""
    ours_p99_ms: float = float("nan")
    """At half of what was the most ours answered; NaN where it was not measured."""
    bare_p99_ms: float = float("nan")

    @property
    def ratio(self) -> float:
        """Ours against the bare route."""
        return self.ours_per_s / self.bare_per_s


@dataclass(frozen=True, slots=True)
class _Servers:
    urls: dict[str, str]
    pids: dict[str, int]
    settings: Settings


def measure_api(services: Services, *, runs: int, note: Callable[[str], None]) -> list[Laps]:
    """All rows. Raises `RuntimeError` if an answer is not the one expected."""
    # Every visitor is asked about, so every one must have a score.
    settings = make_settings(
        services, scoring=True, scoring_budget_ms=0, **MANY_ALERTS, root_key=ROOT_KEY, api_port=pick_port()
    )
    create_topics(settings)
    try:
        note(f"making the state of {STATE_EVENTS:,} events")
        _make_state(services, settings)
        with _running(services, settings) as servers:
            return [*_collect_rows(servers, runs, note), *_read_rows(services, servers, runs, note)]
    finally:
        drop_state(services, settings)
        drop_topics(settings)


def _make_state(services: Services, settings: Settings) -> None:
    """Visitors, scores and alerts, as a worker writes them; it ends then."""
    first_ms = wall_clock_ms() - STATE_EVENTS
    preload(settings, make_events(STATE_EVENTS, first_ms=first_ms, step_ms=1.0, seed=7), progress=_ignore)
    worker = start_contender(services, settings, "storepulse_worker")
    try:
        await_model(services.client, settings, worker)
        await_applied(applied_counter(services.client, settings), STATE_EVENTS, worker)
        log = Keys(settings.namespace, settings.partitions).alerts()
        deadline = time.monotonic() + START_TIMEOUT_S
        while services.client.xlen(log) < ALERTS_PAGE:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no alerts to read; {worker.log_tail()}")
            time.sleep(0.1)
    finally:
        worker.stop(20)


@contextmanager
def _running(services: Services, settings: Settings) -> Iterator[_Servers]:
    """Our API and the bare one, one process each."""
    bare_port = pick_port()
    ours = Child(
        "api",
        [sys.executable, "-P", "-m", "ops.cli", "api"],
        services.folder / "api.log",
        env=settings_environment(settings) | {"STOREPULSE_ROOT_KEY": ROOT_KEY},
    )
    ours.start()
    bare = start_contender(services, settings, "bare_api", env={"STOREPULSE_API_PORT": str(bare_port)})
    urls = {ours: f"http://{LOOPBACK}:{settings.api_port}", bare: f"http://{LOOPBACK}:{bare_port}"}
    try:
        for child, url in urls.items():
            child.await_ready(partial(answers, f"{url}/livez"), START_TIMEOUT_S)
        yield _Servers({_OURS: urls[ours], _BARE: urls[bare]}, {_OURS: ours.pid, _BARE: bare.pid}, settings)
    finally:
        for child in urls:
            child.kill()


def _collect_rows(servers: _Servers, runs: int, note: Callable[[str], None]) -> list[Laps]:
    rows = []
    for batch, connections in BATCHES.items():
        bodies = [_body(batch, number) for number in range(max(8, 2_000 // batch))]
        requests = {
            _OURS: [make_request("POST", "/v1/events", body=body, headers=_key()) for body in bodies],
            _BARE: [make_request("POST", "/events", body=body) for body in bodies],
        }
        title = f"collect, {batch} a request"
        rows.append(_race(servers, title, batch, requests, connections, 202, runs, note))
    return rows


def _read_rows(services: Services, servers: _Servers, runs: int, note: Callable[[str], None]) -> list[Laps]:
    keys = Keys(servers.settings.namespace, servers.settings.partitions)
    users = [user for user in _some_users() if services.client.exists(keys.visitor(user))]
    log: Any = services.client.xrange(keys.alerts(), count=2_000)
    cursors = [entry_id.decode() for entry_id, _ in log[: max(1, len(log) - ALERTS_PAGE)]]
    tip = log[-1][0].decode()
    paths = {
        "visitor state": [f"/v1/users/{user}" for user in users],
        "next action": [f"/v1/users/{user}/next-action" for user in users],
        f"alerts, {ALERTS_PAGE} a page": [f"/v1/alerts?after={c}&limit={ALERTS_PAGE}" for c in cursors],
        "alerts, nothing new": [f"/v1/alerts?after={tip}"],
    }
    bare = [make_request("GET", f"/value/{keys.visitor(user)}") for user in users]
    rows = []
    for title, ours in paths.items():
        requests = {_OURS: [make_request("GET", path, headers=_key()) for path in ours], _BARE: bare}
        rows.append(_race(servers, title, 0, requests, READ_CONNECTIONS, 200, runs, note))
    return rows


def _race(
    servers: _Servers,
    title: str,
    events: int,
    requests: dict[str, list[bytes]],
    connections: int,
    status: int,
    runs: int,
    note: Callable[[str], None],
) -> Laps:
    """Both in turns, so that a slow moment of the machine hits both; reads also at half of the most."""
    per_s: dict[str, list[float]] = {_OURS: [], _BARE: []}
    cpu_us: dict[str, list[float]] = {_OURS: [], _BARE: []}
    for run in range(runs):
        for who in (_OURS, _BARE) if run % 2 == 0 else (_BARE, _OURS):
            before_s = cpu_s(servers.pids[who])
            tally = _drive(servers.urls[who], requests[who], status, connections=connections)
            cpu_us[who].append((cpu_s(servers.pids[who]) - before_s) / len(tally.took_s) * 1e6)
            per_s[who].append(tally.per_s)
    most = {who: median(found) for who, found in per_s.items()}
    spent = {who: median(found) for who, found in cpu_us.items()}
    note(
        f"{title}: ours {most[_OURS]:,.0f}, bare {most[_BARE]:,.0f} requests/s; "
        f"CPU {spent[_OURS]:,.0f} and {spent[_BARE]:,.0f} us"
    )
    times = max(1, events)
    speeds = most[_OURS] * times, most[_BARE] * times, spent[_OURS], spent[_BARE]
    if events:
        return Laps(title, events, *speeds)
    half = most[_OURS] / 2
    p99_ms: dict[str, list[float]] = {_OURS: [], _BARE: []}
    for _ in range(runs):
        for who in (_OURS, _BARE):
            tally = _drive(servers.urls[who], requests[who], status, connections=connections, per_s=half)
            p99_ms[who].append(tally.quantile_ms(0.99))
    return Laps(title, 0, *speeds, median(p99_ms[_OURS]), median(p99_ms[_BARE]))


def _drive(
    url: str, requests: Sequence[bytes], status: int, *, connections: int, per_s: float | None = None
) -> Tally:
    tally = asyncio.run(drive(url, requests, connections=connections, seconds=SECONDS, per_s=per_s))
    if set(tally.statuses) != {status}:
        raise RuntimeError(f"{url} answered {dict(tally.statuses)}, {status} is expected")
    return tally


def _body(batch: int, number: int) -> bytes:
    first_ms = wall_clock_ms() - batch
    events = make_events(batch, first_ms=first_ms, step_ms=1.0, seed=1_000 + number)
    return orjson.dumps([orjson.loads(encode(event)) for event in events])


def _some_users() -> list[str]:
    users = {event.user_id: None for event in make_events(2_000, first_ms=0, step_ms=1.0, seed=7)}
    return list(users)[:VISITORS_READ]


def _key() -> list[tuple[str, str]]:
    return [("Authorization", f"Bearer {ROOT_KEY}")]


def _ignore(_: int) -> None:
    pass
