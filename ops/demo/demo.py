"""`storepulse demo`: the embedded stack, a simulated shop, and a live picture of it in the terminal."""

import logging
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
import psutil
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from api.identity.origins import LOCAL_NAMES
from ops.api_client.authorization import authorization
from ops.demo.screen import DemoScreen
from ops.demo.terminal_key import make_terminal_key
from ops.demo.view import FORGETS, Frame
from ops.stack.child import Child, StartError
from ops.stack.options import StackError, StackOptions
from ops.stack.part_warnings import PartWarnings
from ops.stack.record import DEFAULT_STATE, settings_environment
from ops.stack.stack import Stack
from ops.stack.supervision import PartEnded
from ops.stack.up import StopSignals
from producers.plain_output import say_status

NEIGHBOURS = ",".join(f"{scheme}://{name}:*" for scheme in ("http", "https") for name in LOCAL_NAMES)
FRAME_EVERY_S = 1.0
TRENDING_SHOWN = 8
ASK_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What to show. `duration_s` of None runs until Ctrl-C; `api_port` of None is 8000 if free."""

    rate_per_s: float = 50.0
    history_min: int = 30
    seed: int = 1
    duration_s: float | None = None
    state: Path = DEFAULT_STATE
    api_port: int | None = None


class TrafficEnded(RuntimeError):
    """The simulated shop ended by itself; the message has the end of its log."""


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo until Ctrl-C or its duration; the exit code is 1 when a part could not start or go on."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signals = StopSignals()
    try:
        stack = Stack(
            StackOptions(
                state=options.state,
                api_port=options.api_port,
                deliver=True,
                settings={
                    **_neighbours(),
                    # The receiver that somebody tries out first is one on this machine.
                    "webhook_allow_private": True,
                    # The model learnt from this very shop: churn_risk need not wait for proof.
                    "learning": False,
                },
            )
        )
        signals.watch(stack)
        with say_status(console, "starting broker, Redis, worker, API and deliverer"):
            stack.start()
    except (StackError, StartError) as exc:
        console.print(f"[red]cannot start:[/] {exc}", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 0
    traffic = make_traffic(stack, options)
    try:
        traffic.start()
        frame = _show(stack, traffic, options, signals, console)
    except (PartEnded, StartError, TrafficEnded) as exc:
        console.print(f"[red]the demo stopped:[/] {exc}", highlight=False, soft_wrap=True)
        return 1
    finally:
        with say_status(console, "stopping; press Ctrl-C again to kill everything at once"):
            traffic.stop()
            stack.stop()
    console.print(_farewell(frame), highlight=False, soft_wrap=True)
    return 0


def make_traffic(stack: Stack, options: DemoOptions) -> Child:
    """The simulated shop as a child process: first the past `history_min` minutes at once, then live."""
    figures = (f"{options.rate_per_s:g}", str(options.history_min), str(options.seed))
    argv = [sys.executable, "-P", "-m", "ops.demo.traffic", *figures]
    log = stack.state / "logs" / "traffic.log"
    return Child("traffic", argv, log, env=settings_environment(stack.settings))


def read_frame(stack: Stack, headers: dict[str, str]) -> Frame:
    """What the API says now, and the memory of this process and all it started; raises `OSError`."""
    url = stack.api_url
    live = _ask(f"{url}/v1/live", headers)
    trending = _ask(f"{url}/v1/trending?limit={TRENDING_SHOWN}", headers)
    restarted = [
        f"{part.name} exited and was restarted; see {part.log_path}" for part in stack.parts if part.restarts
    ]
    return Frame(live, trending, measure_rss_bytes(), f"{url}/", ". ".join(restarted))


def measure_rss_bytes() -> int:
    """Resident memory of this process and its descendants; memory they share counts for each of them."""
    total = 0
    own = psutil.Process(os.getpid())
    for process in (own, *own.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _show(
    stack: Stack, traffic: Child, options: DemoOptions, signals: StopSignals, console: Console
) -> Frame | None:
    headers = authorization(stack.settings)
    frame: Frame | None = None
    warnings = PartWarnings()
    end_at = None if options.duration_s is None else time.monotonic() + options.duration_s
    if not console.is_terminal:
        console.print(f"live page: {stack.api_url}/  {FORGETS}", highlight=False, soft_wrap=True)
    with Live(console=console, screen=console.is_terminal, auto_refresh=False, redirect_stderr=False) as live:
        screen = DemoScreen(console, live)
        while not signals.asked.is_set() and (end_at is None or time.monotonic() < end_at):
            drawn_at = time.monotonic()
            stack.check()
            if not traffic.alive:
                raise TrafficEnded(f"the simulated shop ended with {traffic.exit_code}; {traffic.log_tail()}")
            for warning in warnings.read(stack.parts):
                screen.warn(warning)
            try:
                frame = read_frame(stack, headers)
            except OSError as exc:
                if _wants_key(exc):  # somebody made the first one meanwhile
                    headers = _find_key(stack, headers)
                _log.info("the API does not answer, so this shows the last figures: %s", exc)
            else:
                screen.show(frame)
            signals.asked.wait(max(0.0, FRAME_EVERY_S - (time.monotonic() - drawn_at)))
    return frame


def _neighbours() -> dict[str, str]:
    """The setting that lets pages of this machine send events from any port, unless it was set otherwise."""
    return {} if "STOREPULSE_ALLOWED_ORIGINS" in os.environ else {"allowed_origins": NEIGHBOURS}


def _wants_key(exc: OSError) -> bool:
    return isinstance(exc, urllib.error.HTTPError) and exc.code == HTTPStatus.UNAUTHORIZED


def _find_key(stack: Stack, headers: dict[str, str]) -> dict[str, str]:
    try:
        return make_terminal_key(stack.settings)
    except RedisError as exc:
        _log.info("no key for this terminal: %s", exc)
        return headers


def _ask(url: str, headers: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own http URL
    try:
        with urllib.request.urlopen(request, timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 - the same
            return dict(orjson.loads(answer.read()))
    except urllib.error.HTTPError as exc:
        exc.close()
        raise


def _farewell(frame: Frame | None) -> str:
    if frame is None:
        return "stopped"
    totals = frame.live["totals"]
    return f"stopped after {totals['applied']:,} events, {totals['lost']:,} lost. {FORGETS}"
