"""The terminal picture of `storepulse demo`, drawn from the answers of `/v1/live` and `/v1/trending`."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

HISTORY = 60
"""Seconds of events/s in the sparkline."""
FORGETS = "Embedded broker and Redis: all data is lost when this stops."

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = " ..::--=#"
_FUNNEL = (
    ("sessions", "started"),
    ("viewed", "viewed a product"),
    ("carted", "added to cart"),
    ("bought", "bought"),
)
_TOTALS = (("applied", "applied"), ("duplicates", "duplicates"), ("late", "late"), ("rejected", "rejected"))
_STACKED_BELOW = 88
"""Columns below which the panels stand one above the other."""
_BESIDE_SPARKLINE = 52
"""Columns taken by the frame, events/s and the delay."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What one picture shows; `live` and `trending` are JSON of the API, `trouble` may be empty."""

    live: dict[str, Any]
    trending: dict[str, Any]
    rss_bytes: int
    url: str
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """How far the stream is: what to say of it, and whether what is sent now is counted at once."""

    words: str
    is_live: bool


def phase_of(live: dict[str, Any]) -> Phase:
    """The phase that an answer of `/v1/live` speaks of."""
    backlog = live["backlog"] or {}
    if history_to := backlog.get("history_to"):
        waiting = f"{backlog['waiting']:,} events wait"
        words = f"replaying history, at {history_to[11:19]}Z: {waiting}; then live"
        return Phase(words, is_live=False)
    if live["mode"] != "live":
        return Phase(f"catching up, as of {_moment(live['as_of'])}", is_live=False)
    if not live["totals"]["applied"]:
        return Phase("starting", is_live=False)
    return Phase("live", is_live=True)


@dataclass
class DemoView:
    """Frames to pictures; keeps the last events/s. `unicode` says what the terminal can draw."""

    unicode: bool = True
    _speeds: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def add(self, frame: Frame) -> None:
        """Takes the frame's events/s into the sparkline."""
        self._speeds.append(frame.live["events_per_s"] or 0.0)

    def render(self, frame: Frame, width: int, warnings: Iterable[str] = ()) -> RenderableType:
        """The picture in `width` columns, with these lines below."""
        funnel = _panel("sessions today", self._funnel(frame.live))
        trending = _panel("trending products", self._trending(frame.trending))
        grid = Table.grid(expand=True, padding=(0, 1))
        if width < _STACKED_BELOW:
            grid.add_column(ratio=1)
            grid.add_row(funnel)
            grid.add_row(trending)
        else:
            grid.add_column(ratio=1)
            grid.add_column(ratio=1)
            grid.add_row(funnel, trending)
        return Group(_head(frame), self._numbers(frame.live, width), grid, _foot(frame, warnings))

    def sparkline(self) -> str:
        """Events/s over the last seconds, newest at the right, scaled to the highest."""
        blocks = _BLOCKS if self.unicode else _PLAIN_BLOCKS
        highest = max(self._speeds, default=0.0) or 1.0
        top = len(blocks) - 1
        return "".join(blocks[min(top, -int(-speed / highest * top // 1))] for speed in self._speeds)

    def bar(self, part: float, width: int) -> str:
        """A bar of `part` (0 to 1) of `width` cells; anything above 0 shows."""
        cells = max(1, round(min(part, 1.0) * width)) if part > 0 else 0
        return ("█" if self.unicode else "#") * cells

    def _numbers(self, live: dict[str, Any], width: int) -> RenderableType:
        speed = Table.grid(expand=True, padding=(0, 2))
        speed.add_column(no_wrap=True)
        speed.add_column(no_wrap=True, ratio=1)
        speed.add_column(no_wrap=True, justify="right", style="dim")
        per_second = live["events_per_s"]
        spark = Text(self.sparkline()[-max(8, width - _BESIDE_SPARKLINE) :], style="cyan")
        text = "-" if per_second is None else f"{per_second:,.1f}"
        speed.add_row(_number(text, "events/s"), spark, _delay_text(live["delay"]))
        numbers = Table.grid(expand=True, padding=(0, 2))
        for _ in range(4):
            numbers.add_column(ratio=1)
        numbers.add_row(
            _number(f"{live['active_visitors']:,}", "shoppers now"),
            _number(f"{live['today']['orders']:,}", "orders today"),
            _number(revenue(live), "today"),
            _number(f"{live['carts_abandoned_today']:,}", "carts abandoned"),
        )
        return Panel(Group(speed, numbers), border_style="dim")

    def _funnel(self, live: dict[str, Any]) -> RenderableType:
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(justify="right")
        grid.add_column(justify="right", style="dim")
        grid.add_column(ratio=1, no_wrap=True)
        counts = live["funnel_today"]
        sessions = counts["sessions"]
        for name, text in _FUNNEL:
            part = counts[name] / sessions if sessions else 0.0
            share = f"{part:.1%}" if sessions and name != "sessions" else ""
            grid.add_row(text, f"{counts[name]:,}", share, Text(self.bar(part, 16), style="green"))
        return grid

    def _trending(self, trending: dict[str, Any]) -> RenderableType:
        products = trending["products"]
        if not products:
            return Text("no product has been viewed lately", style="dim")
        grid = Table.grid(expand=True, padding=(0, 1))
        grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        grid.add_column(justify="right")
        grid.add_column(width=16, no_wrap=True)
        for product in products:
            bar = self.bar(product["score"] / products[0]["score"], 16)
            grid.add_row(Text(product["product_id"]), f"{product['score']:,.1f}", Text(bar, style="magenta"))
        return grid


def plain_line(frame: Frame) -> str:
    """The frame as one line, for a log or a pipe."""
    live = frame.live
    funnel, totals = live["funnel_today"], live["totals"]
    speed = live["events_per_s"]
    parts = [
        f"{live['as_of'][11:19]}Z {phase_of(live).words}",
        f"{0.0 if speed is None else speed:.1f} events/s",
        f"{live['active_visitors']} active",
        f"sessions {funnel['sessions']} carted {funnel['carted']} bought {funnel['bought']}",
        f"revenue {revenue(live)}",
        _delay_text(live["delay"]),
        f"{totals['applied']} applied, {totals['lost']} lost",
        f"{frame.rss_bytes / 1e6:.0f} MB",
        *([frame.trouble] if frame.trouble else []),
    ]
    return " | ".join(parts)


def revenue(live: dict[str, Any]) -> str:
    """Today's revenue, currency by currency."""
    amounts = live["today"]["revenue"]
    return " + ".join(f"{amount['amount']} {amount['currency']}" for amount in amounts) or "0"


def _head(frame: Frame) -> RenderableType:
    live = frame.live
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    phase = phase_of(live)
    title = Text.assemble(
        ("Storepulse", "bold cyan"), "  ", (phase.words, "green" if phase.is_live else "yellow")
    )
    grid.add_row(title, Text.assemble("live page: ", (frame.url, f"bold link {frame.url}")))
    return grid


def _foot(frame: Frame, warnings: Iterable[str]) -> RenderableType:
    totals = frame.live["totals"]
    counts = ", ".join(f"{totals[name]:,} {word}" for name, word in _TOTALS)
    lost = (f", {totals['lost']:,} lost", "bold red" if totals["lost"] else "")
    memory = (f"   memory {frame.rss_bytes / 1e6:,.0f} MB", "dim")
    lines = [Text.assemble(counts, lost, memory), Text(f"{FORGETS} Ctrl-C ends it.", style="dim")]
    lines[:0] = [Text(warning, style="yellow") for warning in warnings]
    if frame.trouble:
        lines.insert(0, Text(frame.trouble, style="bold yellow"))
    return Group(*lines)


def _moment(iso: str) -> str:
    return f"{iso[:19].replace('T', ' ')}Z"


def _panel(title: str, body: RenderableType) -> Panel:
    return Panel(body, title=title, title_align="left", border_style="dim")


def _number(value: str, name: str) -> Text:
    return Text.assemble((f"{value} ", "bold"), (name, "dim"))


def _delay_text(delay: dict[str, float] | None) -> str:
    if delay is None:
        return "no worker yet"
    return f"delay p50 {delay['p50_ms']:,.0f} ms, p99 {delay['p99_ms']:,.0f} ms"
