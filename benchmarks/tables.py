"""How figures are shown: rich tables, a machine line, progress."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.core import STEPS, BlobRow, CoreRow
from benchmarks.delay import DelayRow
from benchmarks.memory import MemoryRow
from benchmarks.profile import Profile
from benchmarks.scaling import ScalingRow
from benchmarks.throughput import Ratio, Row

MIN_CORES_TO_SCALE = 4


def show_machine(console: Console, machine: Mapping[str, str]) -> None:
    """The machine line."""
    console.print("machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")


def show_core(console: Console, rows: Sequence[CoreRow], blob: BlobRow) -> None:
    """Steps of the hot path at several batch sizes."""
    table = Table(title="Pure hot path, microseconds per event")
    for name in ("events per commit", *STEPS, "together", "visitor writes/event", "bytes/event"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row.us[step]:.2f}" for step in STEPS]
        table.add_row(
            f"{row.batch:,}", *cells, f"{row.total_us:.2f}", f"{row.visitor_writes:.2f}",
            f"{row.commit_bytes:.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"one visitor's state: {blob.size_bytes:.0f} bytes, pack {blob.pack_us:.1f} us, "
        f"unpack {blob.unpack_us:.1f} us"
    )


def show_throughput(console: Console, rows: Sequence[Row], ratios: Sequence[Ratio]) -> None:
    """Contenders and the ratios between them."""
    table = Table(title="Throughput, medians")
    table.add_column("")
    table.add_column("contender")
    for name in ("events/s", "slowest", "fastest", "CPU us/event", "Redis CPU us/event", "events"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.key, row.title, f"{row.events_per_s:,.0f}", f"{row.slowest:,.0f}", f"{row.fastest:,.0f}",
            f"{row.cpu_us:.1f}", f"{row.redis_cpu_us:.1f}", f"{row.events:,}",
        )  # fmt: skip
    console.print(table)
    show_ratios(console, ratios)


def show_ratios(console: Console, ratios: Sequence[Ratio]) -> None:
    """Ratios beside their aims."""
    for ratio in ratios:
        colour = "green" if ratio.reached else "red"
        console.print(f"{ratio.name} = [{colour}]{ratio.value:.2f}[/] (aim: at least {ratio.aim:g})")


def show_scaling(console: Console, rows: Sequence[ScalingRow], ratio: Ratio, cores: int) -> None:
    """One worker and two."""
    table = Table(title="Scaling, medians")
    for name in ("workers", "events/s", "CPU us/event", "Redis CPU us/event", "RSS MB, all"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            str(row.workers), f"{row.events_per_s:,.0f}", f"{row.cpu_us:.1f}", f"{row.redis_cpu_us:.1f}",
            f"{row.rss_mb:.0f}",
        )  # fmt: skip
    console.print(table)
    show_ratios(console, [ratio])
    if cores < MIN_CORES_TO_SCALE:
        console.print(
            f"{cores} cores for two workers, Kafka and Redis: fewer than {MIN_CORES_TO_SCALE} show "
            "the machine's limit, not the worker's"
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
    ):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.title, f"{row.sent_per_s:,.0f}", f"{row.events:,}", f"{row.p50_ms:.0f}", f"{row.p99_ms:.0f}",
            _or_dash(row.own_p50_ms), _or_dash(row.own_p99_ms), f"{row.cpu_us:.1f}",
            f"{row.redis_cpu_us:.1f}",
        )  # fmt: skip
    console.print(table)


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


def _or_dash(value: float) -> str:
    return "-" if value != value else f"{value:.0f}"


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; the block gets a function that advances it."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)
