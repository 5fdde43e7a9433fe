"""A shop whose API recommends while a worker applies live events: what benchmarks of its answers start."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from benchmarks.api import ROOT_KEY
from benchmarks.heartbeats import await_model
from benchmarks.pace import send_paced
from benchmarks.race import START_TIMEOUT_S, applied_counter, await_applied, cpu_s, start_contender
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from benchmarks.shop_log import make_events, preload
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.api_client.calls import ApiCalls
from ops.api_client.health import answers
from ops.stack.child import Child
from ops.stack.ports import LOOPBACK, pick_port
from ops.stack.record import settings_environment

STATE_EVENTS = 100_000
KEY = [("Authorization", f"Bearer {ROOT_KEY}")]


@dataclass(frozen=True, slots=True)
class Shop:
    """Where its API is, the processes of its parts by name, and what the API's index has."""

    settings: Settings
    url: str
    pids: dict[str, int]
    users: Sequence[str]
    sessions: int
    products: int


@contextmanager
def recommending_shop(services: Services, note: Callable[[str], None]) -> Iterator[Shop]:
    """The shop with the state of `STATE_EVENTS` events, until the block ends."""
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
        users = list({event.user_id: 0 for event in make_events(STATE_EVENTS, first_ms=0, step_ms=1, seed=7)})
        sessions, products = (int(word.replace(",", "")) for word in (part.split()[0], part.split()[3]))
        pids = {
            "api": api.pid, "worker": worker.pid, "redis": services.redis_pid, "kafka": services.kafka_pid
        }  # fmt: skip
        yield Shop(settings, url, pids, users, sessions, products)
    finally:
        for child in (worker, api):
            if child is not None:
                child.kill()
        drop_state(services, settings)
        drop_topics(settings)


@contextmanager
def live_events(shop: Shop, *, per_s: int, seconds: float) -> Iterator[int]:
    """Events at an even pace, for so long or until the block ends, from a process whose id is given."""
    context = multiprocessing.get_context("spawn")
    sender = context.Process(target=_send, args=(shop.settings, per_s, seconds), daemon=True)
    sender.start()
    try:
        yield sender.pid or 0
        if not sender.is_alive():
            raise RuntimeError("the sender of events ended too early")
    finally:
        sender.terminate()
        sender.join()


class CpuMeter:
    """CPU that processes take from now on, and what all others on the machine take."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._began = self._read()

    def read(self) -> dict[str, float]:
        """CPU seconds since the start by process, and of `others`."""
        now = self._read()
        spent = {name: now[name] - before for name, before in self._began.items()}
        return spent | {"others": max(0.0, spent["others"] - sum(spent[name] for name in self._pids))}

    def _read(self) -> dict[str, float]:
        times = psutil.cpu_times()
        busy_s = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        return {name: cpu_s(pid) for name, pid in self._pids.items()} | {"others": busy_s}


def _send(settings: Settings, per_s: int, seconds: float) -> None:
    send_paced(settings, lambda _: _ignore_answer, rate=per_s, seconds=seconds, progress=_ignore)


def _await_sessions(url: str) -> str:
    """What `/readyz` says of the index once it has sessions."""
    calls = ApiCalls(url, dict(KEY))
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        detail = str(calls.ask("GET", "/readyz")["parts"]["recommendations"]["detail"])
        if detail[0].isdigit() and not detail.startswith("0 "):
            return detail
        time.sleep(0.2)
    raise RuntimeError("the API has read no sessions")


def _ignore(_: Any) -> None:
    pass


def _ignore_answer(_error: Any, _message: Any) -> None:
    pass
