"""What a replay shows: a progress bar while it runs and a summary at its end."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from producers.counted import Counted
from producers.plain_output import SeldomLines
from producers.replay import Progress


class ReplayView:
    """A live progress bar; where the output is no terminal a line now and then, and notes, each once."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._bar = Bar(*_columns(), console=console, transient=True)
        self._task = self._bar.add_task(title, total=None, figures="")
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._title = title
        self._lines = SeldomLines(console)
        self._note = ""

    def __enter__(self) -> "ReplayView":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, progress: Progress) -> None:
        """Show where the replay stands."""
        self._bar.update(
            self._task, total=progress.total_rows, completed=progress.at_row, figures=_figures(progress)
        )
        if self._console.is_terminal:
            self._live.update(self._render(progress.note))
        elif progress.note and progress.note != self._note:
            self._lines.say(progress.note, now=True)
        else:
            at = f"{progress.at_row:,} of {progress.total_rows:,} rows"
            self._lines.say(f"{self._title}: {at}  {_figures(progress)}")
        self._note = progress.note

    def await_stream(self, waiting: int) -> bool:
        """Show that the stream still has so many to get to; always true: it is worth waiting for."""
        text = f"all sent; {waiting:,} events are waiting to be counted"
        if self._console.is_terminal:
            self._live.update(self._render(text))
        else:
            self._lines.say(f"{self._title}: {text}")
        return True

    def _render(self, note: str) -> RenderableType:
        return Group(self._bar, Text(note, style="yellow")) if note else self._bar


def summary(progress: Progress, *, file: str, format_name: str) -> dict[str, Any]:
    """The outcome as plain values, for `--json`."""
    return {
        "file": file,
        "format": format_name,
        "rows": progress.total_rows,
        "resumed_at_row": progress.resumed_at,
        "read": progress.read,
        "sent": progress.sent,
        "rejected": {
            code: {"count": kind.count, "first_rows": kind.first_rows}
            for code, kind in sorted(progress.rejected.items())
        },
        "first_event_time": _time(progress.first_ms),
        "last_event_time": _time(progress.last_ms),
        "seconds": round(progress.seconds, 3),
        "events_per_s": round(_per_s(progress), 1),
        "interrupted": progress.interrupted,
    }


def summary_table(progress: Progress, *, file: str, format_name: str) -> Table:
    """The outcome as a table."""
    table = Table(title=Text(f"{file} ({format_name})"), show_header=False, title_justify="left")
    table.add_row("rows in the file", f"{progress.total_rows:,}")
    if progress.resumed_at:
        table.add_row("resumed after row", f"{progress.resumed_at:,}")
    table.add_row("read", f"{progress.read:,}")
    table.add_row(
        "sent and acknowledged", f"{progress.sent:,} in {progress.seconds:.1f} s, {_per_s(progress):,.0f}/s"
    )
    table.add_row("event time", f"{_time(progress.first_ms) or '-'}  to  {_time(progress.last_ms) or '-'}")
    for code, kind in sorted(progress.rejected.items()):
        rows = ", ".join(str(row) for row in kind.first_rows) + (
            " ..." if kind.count > len(kind.first_rows) else ""
        )
        table.add_row(Text(f"rejected {code}", style="red"), f"{kind.count:,}: rows {rows}. {kind.example}")
    if not progress.rejected:
        table.add_row("rejected", "0")
    if progress.interrupted:
        table.add_row(Text("interrupted", style="yellow"), "run the same command again to continue from here")
    return table


def add_counted(table: Table, counted: Counted | None, progress: Progress) -> None:
    """Add to a summary what became of the events in the stream."""
    if counted is None:
        why = (
            "not waited for" if progress.interrupted else "unknown: Redis was not asked, or is not available"
        )
        table.add_row("counted by the stream", f"{why}: `storepulse status` shows its totals")
        return
    counts = counted.counts
    is_all_ours = sum(counts.values()) + counted.waiting == progress.sent
    others = "" if is_all_ours else "; these figures include events from other senders or an earlier run"
    table.add_row("counted by the stream", f"{counts['applied']:,}{others}")
    table.add_row("duplicates", f"{counts['duplicates']:,}")
    late = ": over STOREPULSE_LATENESS_MS older than the newest event of their partition, and not applied"
    table.add_row("late", f"{counts['late']:,}{late if counts['late'] else ''}")
    rejected = ": `storepulse rejected ls` says why"
    table.add_row("rejected by the stream", f"{counts['rejected']:,}{rejected if counts['rejected'] else ''}")
    for name, text in (("forgotten", "of deleted visitors, dropped"), ("lost", "lost: expired in Kafka")):
        if counts[name]:
            table.add_row(text, f"{counts[name]:,}")
    if counted.waiting:
        table.add_row(
            Text("not counted yet", style="yellow"),
            f"{counted.waiting:,}: is a worker running? `storepulse status` shows the lag",
        )


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        TimeRemainingColumn(),
    )


def _figures(progress: Progress) -> str:
    rejected = sum(kind.count for kind in progress.rejected.values())
    lag = "" if progress.lag is None else f"  lag {progress.lag:,}"
    time = _time(progress.last_ms) or ""
    return f"{_per_s(progress):,.0f}/s  {time}{lag}  rejected {rejected:,}"


def _per_s(progress: Progress) -> float:
    return progress.sent / progress.seconds if progress.seconds else 0.0


def _time(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
