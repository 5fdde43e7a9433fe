"""A worker that scores beside one that only counts, at the same pace, and under twice what it can score."""

from collections.abc import Callable, Sequence

from benchmarks.aims import Aim
from benchmarks.alerts import AlertsRow
from benchmarks.delay import DelayRow, measure_delay
from benchmarks.services import Services, create_topics, drop_topics, make_settings
from benchmarks.throughput import Contender, choose

MOST_TIMES_COUNTING = 3.0
OVERLOADED_AIM_MS = 500.0
ALERTS_AIM_MS = 250.0
OVERLOADED = Contender(
    "o", "Storepulse worker whose model can score half", "half_scoring_worker", scoring=True
)


def measure_load(
    services: Services, *, rate: int, seconds: float, note: Callable[[str], None]
) -> list[DelayRow]:
    """Delays at `rate` events/s of the worker that counts, of the one that scores, and of one overloaded."""
    rows = []
    for contender in (*choose("cs", note), OVERLOADED):
        settings = make_settings(services, scoring=contender.scoring)
        create_topics(settings)
        row = measure_delay(
            services, settings, contender, rate=rate, seconds=seconds, progress=lambda _: None,
            env={"BENCH_RATE": str(rate)},
        )  # fmt: skip
        drop_topics(settings)
        note(f"{contender.title}: p50 {row.p50_ms:.0f}, p99 {row.p99_ms:.0f} ms")
        rows.append(row)
    return rows


def judge_load(rows: Sequence[DelayRow], alerts: Sequence[AlertsRow]) -> list[Aim]:
    """The delays beside their aims."""
    counting, scoring, overloaded = rows
    return [
        Aim("p99 scoring over counting", scoring.p99_ms / counting.p99_ms, MOST_TIMES_COUNTING, at_most=True),
        *_left_out("scoring", scoring),
        Aim("p99 overloaded", overloaded.p99_ms, OVERLOADED_AIM_MS, " ms", at_most=True),
        *_left_out("overloaded", overloaded),
        *[Aim("event to alert p99", row.p99_ms, ALERTS_AIM_MS, " ms", at_most=True) for row in alerts],
    ]


def _left_out(name: str, row: DelayRow) -> list[Aim]:
    """Shares of the visitors that were left out; of those with a cart or intent there should be none."""
    found = row.scored.left_out if row.scored else {}
    kinds = {"cart": 0.0, "intent": 0.0, **found}
    return [
        Aim(f"left out, {name}, {kind}", share, 0.0 if kind in ("cart", "intent") else None, at_most=True)
        for kind, share in sorted(kinds.items())
    ]
