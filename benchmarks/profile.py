"""Where the worker's time goes: its stacks sampled from outside by py-spy, and Redis' own command times."""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.heartbeats import measure_scored
from benchmarks.race import applied_counter, start_contender
from benchmarks.services import Services, drop_state, with_fresh_state
from contracts.settings import Settings

SAMPLES_PER_S = 200
_LINE_NUMBER = re.compile(r":\d+\)$")
_THREAD = re.compile(r'^thread \([^)]*\): ?"?([^"]*)"?$')


@dataclass(frozen=True, slots=True)
class Cost:
    """One function: microseconds per event in itself, and with all it calls."""

    thread: str
    name: str
    own_us: float
    total_us: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Costs of a worker that did `events_per_s`, dearest first; `redis`: us per event by command."""

    events_per_s: float
    costs: tuple[Cost, ...]
    redis: dict[str, float]


def measure_profile(services: Services, shop: Settings, *, seconds: int) -> Profile:
    """Let a fresh worker read the log of `shop` and sample it; raises `RuntimeError` without py-spy."""
    settings = with_fresh_state(shop)
    child = start_contender(services, settings, "storepulse_worker")
    applied = applied_counter(services.client, settings)
    try:
        while applied() <= 0:
            if not child.alive:
                raise RuntimeError(child.log_tail())
            time.sleep(0.02)
        services.client.config_resetstat()
        before, started_s = applied(), time.monotonic()
        stacks = _sample(child.pid, seconds, services.folder / "stacks.txt")
        wall_s = time.monotonic() - started_s
        events = applied() - before
        redis = _command_us(services.client.info("commandstats"), events)
        if settings.scoring:
            measure_scored(services.client, settings, child)
    finally:
        child.kill()
        drop_state(services, settings)
    return Profile(events / wall_s, tuple(_costs(stacks, events * seconds / wall_s)), redis)


def _sample(pid: int, seconds: int, target: Path) -> list[tuple[list[str], int]]:
    argv = [
        str(Path(sys.executable).with_name("py-spy")),
        "record",
        "--pid",
        str(pid),
        "--duration",
        str(seconds),
    ]
    options = ["--rate", str(SAMPLES_PER_S), "--format", "raw", "--threads", "--gil", "--output", str(target)]
    done = subprocess.run([*argv, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"py-spy: {done.stderr.strip()}")
    stacks = []
    for line in target.read_text().splitlines():
        frames, _, samples = line.rpartition(" ")
        stacks.append((frames.split(";"), int(samples)))
    return stacks


def _costs(stacks: Sequence[tuple[list[str], int]], events: float) -> list[Cost]:
    own: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for frames, samples in stacks:
        thread = _THREAD.sub(r"\1", frames[0])
        names = [_LINE_NUMBER.sub(")", frame) for frame in frames[1:]]
        own[thread, names[-1]] += samples
        for name in set(names):
            total[thread, name] += samples
    us_per_sample = 1e6 / SAMPLES_PER_S / max(1.0, events)
    return [
        Cost(*place, own[place] * us_per_sample, samples * us_per_sample)
        for place, samples in sorted(total.items(), key=lambda item: -own[item[0]])
    ]


def _command_us(stats: Any, events: int) -> dict[str, float]:
    """Redis' time per event by command; `evalsha` contains the commands inside the script."""
    spent = {name.removeprefix("cmdstat_"): row["usec"] / events for name, row in stats.items()}
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
