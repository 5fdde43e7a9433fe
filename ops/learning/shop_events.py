"""Events of a shop, from a file or simulated, with progress; what models are trained and measured on."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from contracts.events import Event
from producers.plain_output import LineProgress
from producers.simulator.profiles import PROFILES
from producers.simulator.simulation import SimulationConfig, simulate
from sources import Rejected, Source

SIMULATED_FROM_MS = 1_759_276_800_000  # 1 October 2025, 00:00 UTC
SIMULATED_RATE = 0.5
"""Events/s of the simulated shop, on average over a week."""
_SIMULATED_VISITORS = 20_000
_SHOWN_EVERY = 2_000


def read_events(
    path: Path, progress: Progress, *, currency: str, format_name: str | None = None
) -> Iterator[Event]:
    """The events of a file by time; rows that are none are counted and left out.

    Raises `UnknownFormat` and `OSError` as `Source` does.
    """
    task = progress.add_task("sorting", total=None)
    rejected: Counter[str] = Counter()
    with Source(path, currency=currency, format_name=format_name) as source:
        progress.update(task, description="events", total=source.n_rows)
        for done, event in enumerate(source.read(), start=1):
            if isinstance(event, Rejected):
                rejected[event.code] += 1
                continue
            yield event
            if not done % _SHOWN_EVERY:
                progress.update(task, completed=done)
        progress.update(task, completed=source.n_rows)
    if rejected:
        progress.console.print(
            f"{path.name}: {rejected.total():,} rows are not valid events "
            f"({', '.join(f'{code}: {n:,}' for code, n in rejected.most_common(5))})",
            markup=False,
        )


def title_of(path: Path) -> str:
    """A file by its folder and name: data sets come as folders of files that are named alike."""
    return f"{path.resolve().parent.name}/{path.name}"


def simulate_events(days: float, progress: Progress, *, seed: int, profile: str = "demo") -> Iterator[Event]:
    """Days of a simulated shop; raises `ValueError` for an unknown profile."""
    if profile not in PROFILES:
        raise ValueError(f"a profile must be one of {', '.join(PROFILES)}, got {profile!r}")
    end_ms = SIMULATED_FROM_MS + round(days * 86_400_000)
    config = SimulationConfig(
        SIMULATED_FROM_MS, end_ms, SIMULATED_RATE, _SIMULATED_VISITORS, PROFILES[profile]
    )
    task = progress.add_task("events", total=end_ms - SIMULATED_FROM_MS)
    for done, event in enumerate(simulate(config, seed), start=1):
        yield event
        if not done % _SHOWN_EVERY:
            progress.update(task, completed=event.event_time_ms - SIMULATED_FROM_MS)
    progress.update(task, completed=end_ms - SIMULATED_FROM_MS)


def make_progress(console: Console, title: str) -> Progress:
    """A progress display whose lines begin with a title; on a terminal it is gone at its end."""
    return LineProgress(console, title)
