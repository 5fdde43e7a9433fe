"""How figures are shown: rich tables, a machine line, progress."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.aims import Aim
from benchmarks.alerts import AlertsRow
from benchmarks.api import COLLECT_AIM, READ_AIM, READ_P99_AIM_MS, Laps
from benchmarks.calls import LIMITS
from benchmarks.core import STEPS, STEPS_WITH_SCORING, BlobRow, CoreRow
from benchmarks.delay import DelayRow
from benchmarks.heartbeats import Scored
from benchmarks.item_rates import RatesRow
from benchmarks.jobs import JobsRow
from benchmarks.memory import MemoryRow
from benchmarks.profile import Profile
from benchmarks.recommendations import RecommendationFigures
from benchmarks.scaling import ScalingRow
from benchmarks.scoring import ENGINES, ScoringFigures
from benchmarks.scoring import STEPS as STEPS_OF_SCORING
from benchmarks.throughput import Row

MIN_CORES_TO_SCALE = 4
ROUNDING = 1e-9
"""Shares may add up to so much less than 1."""


def show_machine(console: Console, machine: Mapping[str, str]) -> None:
    """The machine line."""
    console.print("machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")


def show_core(console: Console, rows: Sequence[CoreRow], blobs: Sequence[BlobRow]) -> None:
    """Steps of the hot path of each core at several batch sizes, with those of scoring where it was on."""
    for scoring, core in itertools.product((False, True), dict.fromkeys(row.core for row in rows)):
        shown = [row for row in rows if bool(row.scored) is scoring and row.core == core]
        if shown:
            _show_core(console, shown, STEPS_WITH_SCORING if scoring else STEPS)
    for blob in blobs:
        console.print(
            f"one visitor's state, {blob.core}: {blob.size_bytes:.0f} bytes, pack {blob.pack_us:.1f} us, "
            f"unpack {blob.unpack_us:.1f} us"
        )


def show_item_rates(
    console: Console, rows: Mapping[tuple[int, int], RatesRow], us: Mapping[str, float]
) -> None:
    """Differences of the rates at each pace, and losses of the model given either; what the rates cost."""
    for (batch_ms, late_ms), row in rows.items():
        pace = f"batches of {batch_ms / 1e3:g} s, others {late_ms / 1e3:g} s late"
        table = Table(title=f"{pace}: {row.n:,} actions, {row.same:.1%} alike", title_justify="left")
        for title in ("rate", "mean difference", "spread"):
            table.add_column(title, justify="right" if title != "rate" else "left")
        for name, difference in row.differences.items():
            table.add_row(name, f"{difference:.5f}", f"{row.spreads[name]:.3f}")
        console.print(table)
        for name, losses in row.losses.items():
            figures = ", ".join(f"{what} {value:.4f}" for what, value in losses.items())
            console.print(f"rates {name}, {row.tested:,} cases: {figures}")
    console.print("us per visitor: " + ", ".join(f"in {core} {taken:.1f}" for core, taken in us.items()))


def _show_core(console: Console, rows: Sequence[CoreRow], steps: Sequence[str]) -> None:
    what = "with scoring" if rows[0].scored else "counting only"
    table = Table(title=f"Hot steps in {rows[0].core}, {what}, microseconds per event, by events per commit")
    table.add_column("step")
    for row in rows:
        table.add_column(f"{row.batch:,}", justify="right")
    for step in steps:
        table.add_row(step, *[f"{row.us[step]:.2f}" for row in rows])
    table.add_section()
    table.add_row("together", *[f"{row.total_us:.2f}" for row in rows])
    table.add_row("visitor writes/event", *[f"{row.visitor_writes:.2f}" for row in rows])
    table.add_row("bytes/event", *[f"{row.commit_bytes:.0f}" for row in rows])
    console.print(table)


def show_scoring(console: Console, found: ScoringFigures) -> None:
    """Steps of scoring by size of batch, and both engines where torch is there."""
    table = Table(title=f"Scoring with model {found.version}, microseconds per visitor, medians")
    for name in ("batch", *STEPS_OF_SCORING, "together"):
        table.add_column(name, justify="right")
    for row in found.rows:
        cells = [f"{row.us[step]:.1f}" for step in STEPS_OF_SCORING]
        table.add_row(str(row.batch), *cells, f"{row.total_us:.1f}")
    console.print(table)
    console.print(f"{found.mean_actions:.1f} actions in the visitor's session on the average")
    if found.parameters is None:
        return
    title = f"An untrained network of the shipped shape ({found.parameters:,} parameters), us per visitor"
    table = Table(title=title)
    for name in ("batch", *ENGINES, "torch/onnxruntime"):
        table.add_column(name, justify="right")
    for row in found.rows:
        cells = [f"{row.engines_us[engine]:.1f}" for engine in ENGINES]
        table.add_row(str(row.batch), *cells, f"{row.ratio:.2f}")
    console.print(table)


def show_calls(
    console: Console, us: Mapping[int, Mapping[int, float]], counts: Mapping[int, Mapping[int, float]]
) -> None:
    """By visitors at once and most padding in a call: microseconds per visitor, and calls on the average."""
    table = Table(title="Calls of the model, microseconds per visitor (calls), medians")
    table.add_column("steps of padding", justify="right")
    for size in us:
        table.add_column(f"{size} visitors", justify="right")
    for limit in LIMITS:
        cells = [f"{us[size][limit]:.1f} ({counts[size][limit]:.1f})" for size in us]
        table.add_row("any" if limit == LIMITS[-1] else f"{limit:,}", *cells)
    console.print(table)


def show_recommendations(console: Console, found: RecommendationFigures) -> None:
    """Questions to the index of recent sessions, and what it holds in memory."""
    kind = "compiled" if found.is_compiled else "Python"
    title = f"Recommendations, {found.sessions:,} sessions, {found.products:,} products, {kind}"
    table = Table(title=title)
    for name in ("", "p50 us", "p99 us"):
        table.add_column(name, justify="right" if name else "left")
    for row in found.rows:
        table.add_row(row.what, f"{row.p50_us:.0f}", f"{row.p99_us:.0f}")
    console.print(table)
    console.print(
        f"{found.put_us:.1f} us to take in a session; "
        f"{found.bytes_per_session:.0f} bytes of memory a session, so many MB for a million; "
        f"{found.bytes_per_product:.0f} bytes a product in the catalogue, "
        f"{found.bytes_per_product * 0.1:.0f} MB for 100,000"
    )


def show_throughput(console: Console, rows: Sequence[Row], aims: Sequence[Aim]) -> None:
    """Contenders and the ratios between them."""
    table = Table(title="Throughput, medians")
    table.add_column("")
    table.add_column("contender")
    for name in ("events/s", "slowest", "fastest", "CPU us/event", "Redis CPU us/event", "events", "scored"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.key, row.title, f"{row.events_per_s:,.0f}", f"{row.slowest:,.0f}", f"{row.fastest:,.0f}",
            f"{row.cpu_us:.1f}", f"{row.redis_cpu_us:.1f}", f"{row.events:,}", _share(row.scored),
        )  # fmt: skip
    console.print(table)
    for row in rows:
        if row.scored < 1:
            _say_invalid(console, row.title, 1 - row.scored)
    show_aims(console, aims)


def show_aims(console: Console, aims: Sequence[Aim]) -> None:
    """Figures beside their aims."""
    for aim in aims:
        value = f"{aim.value:,.0f}" if aim.value >= 100 else f"{aim.value:.2f}"
        line = f"{aim.name} = [{'green' if aim.reached else 'red'}]{value}[/]{aim.unit}"
        console.print(f"{line} ({aim.words})" if aim.words else f"{aim.name} = {value}{aim.unit}")


def show_scaling(console: Console, rows: Sequence[ScalingRow], ratios: Sequence[Aim], cores: int) -> None:
    """One worker and two, free and held back."""
    table = Table(title="Scaling, medians")
    for name in (
        "workers",
        "of a core each",
        "events/s",
        "CPU us/event",
        "Redis CPU us/event",
        "RSS MB, all",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        share = "all there is" if row.share is None else f"{row.share:.0%}"
        table.add_row(
            str(row.workers), share, f"{row.events_per_s:,.0f}", f"{row.cpu_us:.1f}",
            f"{row.redis_cpu_us:.1f}", f"{row.rss_mb:.0f}",
        )  # fmt: skip
    console.print(table)
    show_aims(console, ratios)
    if cores < MIN_CORES_TO_SCALE:
        console.print(
            f"{cores} cores for two workers, Kafka and Redis: with fewer than {MIN_CORES_TO_SCALE}, workers "
            "that take all there is show the machine's limit, and only those held back their own"
        )


def show_delay(console: Console, rows: Sequence[DelayRow]) -> None:
    """Delays of every contender that was run."""
    table = Table(title="Broker timestamp to visible in Redis, ms")
    table.add_column("contender")
    for name in (
        "events/s",
        "events",
        "p50",
        "p99",
        "own p50",
        "own p99",
        "CPU us/event",
        "Redis CPU us/event",
        "scored",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title, f"{row.sent_per_s:,.0f}", f"{row.events:,}", f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}",
            _or_dash(row.own_p50_ms), _or_dash(row.own_p99_ms), f"{row.cpu_us:.1f}",
            f"{row.redis_cpu_us:.1f}", _share_scored(row.scored),
        )  # fmt: skip
    console.print(table)
    for row in rows:
        _say_unscored(console, row.title, row.scored)


def show_alerts(console: Console, rows: Sequence[AlertsRow], aims: Sequence[Aim]) -> None:
    """From the event to its alert, a row per run."""
    table = Table(title="Broker timestamp of the event to its churn_risk alert, ms")
    table.add_column("contender")
    for name in ("events/s", "alerts", "stored p50", "stored p99", "read p50", "read p99", "scored"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title, f"{row.sent_per_s:,.0f}", f"{row.alerts:,}", f"{row.stored_p50_ms:.0f}",
            f"{row.stored_p99_ms:.0f}", f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}",
            _share_scored(row.scored),
        )  # fmt: skip
    console.print(table)
    for row in rows:
        _say_unscored(console, row.title, row.scored)
    show_aims(console, aims)


def show_jobs(console: Console, rows: Sequence[JobsRow], aims: Sequence[Aim]) -> None:
    """Delays beside jobs."""
    table = Table(title="Broker timestamp to visible in Redis, ms, while a job is at work and while it rests")
    table.add_column("worker with")
    for name in ("events", "p50", "p99", "rest p50", "rest p99", "worker CPU us/event", "snapshots/s"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title, f"{row.events:,}", f"{row.busy_p50_ms:.0f}", f"{row.busy_p99_ms:.0f}",
            f"{row.rest_p50_ms:.0f}", f"{row.rest_p99_ms:.0f}", f"{row.cpu_us:.1f}", f"{row.runs_per_s:.1f}",
        )  # fmt: skip
    console.print(table)
    show_aims(console, aims)


def show_api(console: Console, rows: Sequence[Laps]) -> None:
    """Ours beside the bare route, with the aims of each."""
    table = Table(title="The API beside bare FastAPI routes, one process each, medians")
    table.add_column("requests")
    columns = (
        "ours/s",
        "bare/s",
        "unit",
        "ours/bare",
        "ours CPU us",
        "bare CPU us",
        "ours p99 ms",
        "bare p99 ms",
    )
    for name in columns:
        table.add_column(name, justify="right")
    aims: list[Aim] = []
    for row in rows:
        unit = "events" if row.events else "requests"
        p99 = [f"{ms:.1f}" if ms == ms else "-" for ms in (row.ours_p99_ms, row.bare_p99_ms)]
        table.add_row(
            row.title,
            f"{row.ours_per_s:,.0f}",
            f"{row.bare_per_s:,.0f}",
            unit,
            f"{row.ratio:.2f}",
            f"{row.ours_cpu_us:,.0f}",
            f"{row.bare_cpu_us:,.0f}",
            *p99,
        )
        aims.append(Aim(row.title, row.ratio, COLLECT_AIM if row.events else READ_AIM))
        if not row.events:
            aims.append(Aim(f"{row.title}, p99", row.ours_p99_ms, READ_P99_AIM_MS, " ms", at_most=True))
    console.print(table)
    console.print("p99 at half of the most requests ours answered, for both, counted from when each was due")
    show_aims(console, aims)


def show_memory(console: Console, rows: Sequence[MemoryRow]) -> None:
    """Waves of visitors, and what 100,000 of them take where they stay."""
    for row in rows:
        table = Table(title=f"Memory, {row.title}")
        for name in ("visitors so far", "worker MB", "Redis MB"):
            table.add_column(name, justify="right")
        for wave in row.waves:
            table.add_row(f"{wave.visitors:,}", f"{wave.worker_mb:.0f}", f"{wave.redis_mb:.0f}")
        console.print(table)
        console.print(
            f"growth per 100,000 visitors over the second half: worker {row.worker_bytes / 10:.0f} MB, "
            f"Redis {row.redis_bytes / 10:.0f} MB"
        )


def show_profile(console: Console, profile: Profile, *, top: int) -> None:
    """The dearest functions of the worker and of Redis."""
    table = Table(title=f"Worker at {profile.events_per_s:,.0f} events/s, sampled while holding the GIL")
    table.add_column("thread")
    table.add_column("function")
    table.add_column("own us/event", justify="right")
    table.add_column("with callees", justify="right")
    for cost in profile.costs[:top]:
        table.add_row(cost.thread, cost.name, f"{cost.own_us:.2f}", f"{cost.total_us:.2f}")
    console.print(table)
    commands = [f"{name} {us:.2f}" for name, us in profile.redis.items() if us >= 0.05]
    console.print("Redis us/event by command (evalsha contains the rest): " + ", ".join(commands))


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"


def _share_scored(scored: Scored | None) -> str:
    return _share(math.nan if scored is None else scored.share)


def _say_unscored(console: Console, title: str, scored: Scored | None) -> None:
    """Who was left out for want of time, as is meant; and whoever was unscored for any other reason."""
    if scored is None:
        return
    left_out = sum(scored.left_out.values())
    if left_out:
        kinds = ", ".join(f"{share:.2%} {kind}" for kind, share in sorted(scored.left_out.items()))
        console.print(f"{title}: {left_out:.2%} of the visitors were left out for want of time ({kinds})")
    unexplained = 1 - scored.share - left_out
    if unexplained > ROUNDING:
        _say_invalid(console, title, unexplained)


def _say_invalid(console: Console, title: str, unscored: float) -> None:
    console.print(
        f"{title}: {unscored:.2%} of the visitors were unscored though there was time, which takes less: "
        "no valid measurement of scoring",
        style="red",
    )


def _or_dash(value: float) -> str:
    return "-" if value != value else f"{value:.0f}"


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; the block gets a function that advances it."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)


def show_single(console: Console, title: str, fields: Mapping[str, Any]) -> None:
    """A table of one row; `cores`, by part of the system, stand below it."""
    shown = {name: value for name, value in fields.items() if name != "cores"}
    table = Table(title=title)
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
    values = [f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in shown.values()]
    table.add_row(*values)
    console.print(table)
    console.print("cores taken: " + ", ".join(f"{name} {used:.2f}" for name, used in fields["cores"].items()))
