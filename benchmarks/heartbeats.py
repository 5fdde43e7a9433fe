"""What running workers say of themselves."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from contracts.clock import wall_clock_ms
from contracts.heartbeat import NEXT_ACTION, Heartbeat, from_hash
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.child import Child

BEAT_TIMEOUT_S = 10.0
MODEL_TIMEOUT_S = 60.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Scored:
    """Of the visitors to be scored the `share` that was, and shares left out for want of time, by kind."""

    share: float
    left_out: Mapping[str, float]


def read_heartbeats(client: Redis, settings: Settings) -> list[Heartbeat]:
    """Heartbeats of the workers that are there now; none for another engine's job."""
    keys = Keys(settings.namespace, settings.partitions)
    ids: Any = client.zrange(keys.workers(), 0, -1)
    found = []
    for worker_id in ids:
        fields: Any = client.hgetall(keys.worker(worker_id.decode()))
        if fields:
            found.append(from_hash({name.decode(): value.decode() for name, value in fields.items()}))
    return found


def await_model(client: Redis, settings: Settings, child: Child) -> None:
    """Wait until the worker has a model; raises `RuntimeError` with what it says if it gets none."""

    def ready(beats: Sequence[Heartbeat]) -> bool:
        return any(beat.model for beat in beats)

    beats = _await_beats(client, settings, child, ready, MODEL_TIMEOUT_S)
    if not ready(beats):
        raise RuntimeError(f"the worker has no model to score with ({_say(beats)}); {child.log_tail()}")


def measure_scored(client: Redis, settings: Settings, child: Child) -> Scored:
    """What shares of the visitors the worker scored and left out since its start, as of now.

    Raises `RuntimeError` if it scored none: then nothing was measured of scoring.
    """
    now_ms = wall_clock_ms()

    def fresh(beats: Sequence[Heartbeat]) -> bool:
        return bool(beats) and all(beat.at_ms >= now_ms for beat in beats)

    beats = _await_beats(client, settings, child, fresh, BEAT_TIMEOUT_S)
    share = share_scored(beats)
    if not fresh(beats) or not share > 0:
        raise RuntimeError(
            f"the worker did not score ({_say(beats)}), so this is no measurement of scoring; "
            f"{child.log_tail()}"
        )
    return Scored(share, shares_left_out(beats))


def share_scored(beats: Sequence[Heartbeat]) -> float:
    """Visitors scored by all workers together among those to be scored; NaN if there were none."""
    scored, skipped = sum(beat.scored for beat in beats), sum(beat.skipped for beat in beats)
    return scored / (scored + skipped) if scored + skipped else math.nan


def shares_left_out(beats: Sequence[Heartbeat]) -> dict[str, float]:
    """Of all visitors to be scored the share left out for want of time, by kind."""
    total = sum(beat.scored + beat.skipped for beat in beats)
    numbers: Counter[str] = Counter()
    for beat in beats:
        for slot in beat.slots:
            if slot.slot == NEXT_ACTION:
                numbers.update(slot.left_out)
    return {kind: number / total for kind, number in numbers.items()}


def _await_beats(
    client: Redis,
    settings: Settings,
    child: Child,
    enough: Callable[[Sequence[Heartbeat]], bool],
    timeout_s: float,
) -> list[Heartbeat]:
    """The heartbeats once there is enough in them, or the last ones when time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        beats = read_heartbeats(client, settings)
        if enough(beats) or not child.alive or time.monotonic() > deadline:
            return beats
        time.sleep(POLL_S)


def _say(beats: Sequence[Heartbeat]) -> str:
    if not beats:
        return "no heartbeat"
    return ", ".join(
        f"scoring: {beat.scoring}, {beat.scored} scored, {beat.skipped} skipped" for beat in beats
    )
