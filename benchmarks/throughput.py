"""Throughput: the same log read by every contender, one after another, several times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from statistics import median

from benchmarks.aims import Aim
from benchmarks.race import Lap, run_lap
from benchmarks.services import Services
from benchmarks.shadow import require_asked, version_in_shadow
from contracts.settings import Settings


@dataclass(frozen=True, slots=True)
class Contender:
    """One row of a table. `share` is the part of the log it reads, since the slow ones need less.

    `scoring`: the worker asks its model about every visitor. `learning`: it corrects the answers by what
    visitors then do. `shadow`: it asks another version too.
    """

    key: str
    title: str
    module: str
    share: float = 1.0
    needs: str | None = None
    scoring: bool = False
    learning: bool = True
    shadow: bool = False


CONTENDERS = (
    # First, so that it warms the broker's JVM, and not for itself.
    Contender("f", "aiokafka + orjson, positions to Redis (floor of delays)", "echo"),
    Contender("a", "aiokafka getmany + orjson (floor)", "floor"),
    Contender("b", "stock Faust agent that does nothing", "stock_faust", share=0.1),
    Contender("c", "Storepulse worker, counting only", "storepulse_worker"),
    Contender("s", "Storepulse worker, scoring every visitor", "storepulse_worker", scoring=True),
    Contender(
        "m", "Storepulse worker, scoring, learning nothing", "storepulse_worker", scoring=True, learning=False
    ),
    Contender(
        "h",
        "Storepulse worker, scoring, a version in the shadow",
        "storepulse_worker",
        scoring=True,
        shadow=True,
    ),
    Contender("d", "bytewax, same job, MULTI", "bytewax_job", needs="bytewax"),
    Contender("e", "quixstreams, same job, MULTI", "quixstreams_job", needs="quixstreams"),
)
SCORING_AIM = 10_000.0
"""Events per second of one worker that scores."""
SCORING_SHARE = 0.3
"""Of the events per second of one that only counts."""
LEARNING_SHARE = 0.7
"""With learning and a version in the shadow, of the events per second of the model alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the runs of one contender, and its slowest and fastest run (events/s)."""

    key: str
    title: str
    events: int
    events_per_s: float
    slowest: float
    fastest: float
    cpu_us: float
    redis_cpu_us: float
    scored: float
    """The smallest share of visitors scored in a run; NaN where nothing is to be scored."""


def choose(keys: str, note: Callable[[str], None]) -> list[Contender]:
    """The contenders named in `keys` whose library is installed."""
    chosen = [c for c in CONTENDERS if c.key in keys]
    for contender in [c for c in chosen if c.needs and find_spec(c.needs) is None]:
        note(f"{contender.key} left out: {contender.needs} is not installed")
        chosen.remove(contender)
    return chosen


def measure(
    services: Services, shop: Settings, *, events: int, runs: int, keys: str, note: Callable[[str], None]
) -> list[Row]:
    """Run the contenders named in `keys` in turns, so that a slow minute of the machine hits all of them."""
    chosen = choose(keys, note)
    laps: dict[str, list[Lap]] = {c.key: [] for c in chosen}
    for run in range(1, runs + 1):
        for contender in chosen:
            lap = _run(services, shop, contender, int(events * contender.share))
            laps[contender.key].append(lap)
            scored = f", {lap.scored:.1%} of visitors scored" if contender.scoring else ""
            note(
                f"run {run}/{runs} {contender.key}: {lap.events_per_s:,.0f} events/s, "
                f"CPU {lap.cpu_us:.1f} us, Redis {lap.redis_cpu_us:.1f} us{scored}"
            )
    return [_row(contender, laps[contender.key]) for contender in chosen]


def _run(services: Services, shop: Settings, contender: Contender, events: int) -> Lap:
    # With nobody left out: it would be another job.
    fields = {"scoring": contender.scoring, "learning": contender.learning, "scoring_budget_ms": 0}
    settings = shop.model_copy(update=fields)
    if not contender.shadow:
        return run_lap(services, settings, contender.module, events=events)
    with version_in_shadow(settings, services.folder / "models") as (shadowed, pair):
        require = partial(require_asked, services.client, pair)
        return run_lap(services, shadowed, contender.module, events=events, require=require)


def ratios(rows: Sequence[Row]) -> list[Aim]:
    """Contenders side by side, as far as both sides were run."""
    speed = {row.key: row.events_per_s for row in rows}
    aims = (
        ("c", "b", 8.0), ("c", "a", 0.25), ("c", "d", 1.0), ("c", "e", 1.0),
        ("s", "c", SCORING_SHARE), ("s", "m", LEARNING_SHARE), ("h", "m", LEARNING_SHARE),
    )  # fmt: skip
    return [
        Aim(f"{left}/{right}", speed[left] / speed[right], aim)
        for left, right, aim in aims
        if left in speed and right in speed
    ]


def speeds(rows: Sequence[Row]) -> list[Aim]:
    """What is judged by itself: a worker that scores, if it left nobody out."""
    return [
        Aim(row.key, row.events_per_s, SCORING_AIM, " events/s")
        for row in rows
        if row.key == "s" and row.scored == 1
    ]


def _row(contender: Contender, laps: Sequence[Lap]) -> Row:
    per_s = [lap.events_per_s for lap in laps]
    return Row(
        contender.key,
        contender.title,
        max(lap.events for lap in laps),
        median(per_s),
        min(per_s),
        max(per_s),
        median(lap.cpu_us for lap in laps),
        median(lap.redis_cpu_us for lap in laps),
        min(lap.scored for lap in laps),
    )
