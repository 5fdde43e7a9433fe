"""How figures are shown: rich tables, a machine line, progress."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.core import STEPS, CoreRow
from benchmarks.throughput import Ratio, Row


def show_machine(console: Console, machine: Mapping[str, str]) -> None:
    """The machine line."""
    console.print("machine: " + ", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")


def show_core(console: Console, rows: Sequence[CoreRow], blobs: tuple[float, float, float]) -> None:
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
    pack_us, unpack_us, size = blobs
    console.print(f"one visitor's state: {size:.0f} bytes, pack {pack_us:.1f} us, unpack {unpack_us:.1f} us")


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


@contextmanager
def progress_bar(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar; the block gets a function that advances it."""
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)
