"""Giving simulated events out at their pace, and what is shown meanwhile."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from contracts.events import Event, EventType, encode
from contracts.files import unwritable
from producers.pacing import Pacer
from producers.plain_output import SeldomLines

_TICK_S = 0.25
_SPEED_OVER_S = 5.0


class Outlet(Protocol):
    """Where events go: Kafka or a file."""

    def send(self, event: Event) -> None:
        """Take one event."""

    def close(self) -> None:
        """Make sure that everything has arrived."""


class FileOutlet:
    """JSON lines, one event each; raises `OSError` that names a file which cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("wb")
        except OSError as exc:
            raise unwritable(path, exc) from exc

    def send(self, event: Event) -> None:
        """Write one line."""
        try:
            self._file.write(encode(event) + b"\n")
        except OSError as exc:
            raise unwritable(self._path, exc) from exc

    def close(self) -> None:
        """Close the file."""
        try:
            self._file.close()
        except OSError as exc:
            raise unwritable(self._path, exc) from exc


@dataclass(slots=True)
class Output:
    """What has been given out so far."""

    events: int = 0
    types: Counter[str] = field(default_factory=Counter)
    revenue_minor: int = 0
    refunded_minor: int = 0
    last_ms: int | None = None
    seconds: float = 0.0
    interrupted: bool = False
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def count(self, event: Event, refunded_minor: int = 0) -> None:
        """Add one event; `refunded_minor` is what goes back by it."""
        self.refunded_minor += refunded_minor
        self.events += 1
        self.types[event.event_type.value] += 1
        self.last_ms = event.event_time_ms
        if event.event_type is EventType.PURCHASE:
            self.revenue_minor += (event.price_minor or 0) * event.quantity

    def mark(self) -> None:
        """Remember where the count stands now, for the rate."""
        now_s = time.monotonic()
        self._marks.append((now_s, self.events))
        while now_s - self._marks[0][0] > _SPEED_OVER_S:
            self._marks.popleft()

    @property
    def rate(self) -> float:
        """Events/s over the last seconds."""
        if len(self._marks) < 2:
            return 0.0
        (first_s, first), (last_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / max(1e-9, last_s - first_s)


def give_out(
    events: Iterable[Event],
    outlet: Outlet,
    pacer: Pacer,
    *,
    stopped: Callable[[], bool],
    on_tick: Callable[[Output], None],
    refunded_minor: Callable[[Event], int] = lambda _: 0,
) -> Output:
    """Send every event when it is due, until the last one or until stopped; closes the outlet at the end.

    `refunded_minor` is asked of each that was given out what goes back by it.
    """
    output = Output()
    started_s = time.monotonic()
    tick_s = 0.0
    try:
        for event in events:
            while not stopped() and (wait_s := pacer.wait_s(event.event_time_ms)) > 0:
                time.sleep(min(wait_s, _TICK_S))
                if time.monotonic() - tick_s > _TICK_S:
                    tick_s = _tick(output, on_tick)
            if stopped():
                output.interrupted = True
                break
            outlet.send(event)
            output.count(event, refunded_minor(event))
            if not output.events % 64 and time.monotonic() - tick_s > _TICK_S:
                tick_s = _tick(output, on_tick)
    finally:
        outlet.close()
    output.seconds = time.monotonic() - started_s
    return output


def _tick(output: Output, on_tick: Callable[[Output], None]) -> float:
    output.mark()
    on_tick(output)
    return time.monotonic()


class SimulationView:
    """A live table on a terminal; elsewhere a line now and then."""

    def __init__(self, console: Console, title: str, currency: str, minor_units: int) -> None:
        self._console = console
        self._title = title
        self._currency = currency
        self._minor_units = minor_units
        self._live = Live(console=console, refresh_per_second=4, transient=True)
        self._lines = SeldomLines(console)

    def __enter__(self) -> "SimulationView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, output: Output) -> None:
        """Show what has been given out."""
        if self._console.is_terminal:
            self._live.update(self.table(output))
        else:
            self._lines.say(f"{output.events:,} events, {output.rate:,.0f}/s")

    def table(self, output: Output) -> Table:
        """The figures as a table."""
        table = Table(title=self._title, title_justify="left", show_header=False)
        table.add_row("events", f"{output.events:,}")
        table.add_row("events/s", f"{output.rate or output.events / max(1e-9, output.seconds):,.0f}")
        for kind in EventType:
            table.add_row(kind.value, f"{output.types[kind.value]:,}")
        for name, amount_minor in (
            ("revenue", output.revenue_minor),
            ("refunded", output.refunded_minor),
            ("net revenue", output.revenue_minor - output.refunded_minor),
        ):
            table.add_row(name, f"{amount_minor / self._minor_units:,.2f} {self._currency}")
        return table
