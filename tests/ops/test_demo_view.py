"""The terminal picture shows the API's numbers, in any width and encoding."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from ops.demo.screen import READY, STEADY_FRAMES, DemoScreen
from ops.demo.view import DemoView, Frame, phase_of, plain_line
from ops.stack.part_warnings import PartWarning


def make_frame(**live: Any) -> Frame:
    fields = {
        "as_of": "2026-03-05T10:20:30.123000Z",
        "mode": "live",
        "backlog": {"waiting": 2, "history_to": None},
        "active_visitors": 523,
        "events_per_s": 51.26,
        "delay": {"p50_ms": 12.3, "p99_ms": 48.0},
        "funnel_today": {"sessions": 1_200, "viewed": 1_100, "carted": 300, "bought": 60},
        "carts_abandoned_today": 90,
        "today": {"orders": 61, "revenue": [{"currency": "EUR", "amount": "12345.67"}]},
        "totals": {"applied": 98_765, "duplicates": 1, "late": 2, "rejected": 3, "lost": 0},
    } | live
    products = [
        {"rank": 1, "product_id": "aurora [parka]", "score": 80.0},
        {"rank": 2, "product_id": "mug", "score": 8.0},
    ]
    return Frame(fields, {"products": products}, 412_000_000, "http://127.0.0.1:8000/")


def draw(frame: Frame, width: int = 120, *, unicode: bool = True) -> str:
    view = DemoView(unicode=unicode)
    view.add(frame)
    text = StringIO()
    console = Console(file=text, width=width, height=40)
    console.print(view.render(frame, width))
    return text.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_picture_shows_every_number_in_any_width(width: int) -> None:
    text = draw(make_frame(), width)
    shown = " ".join(text.split())
    for part in (
        "51.3",
        "523",
        "61",
        "12345.67 EUR",
        "p99 48 ms",
        "1,100",
        "91.7%",
        "98,765 applied",
        "412 MB",
    ):
        assert part in shown
    assert "aurora [parka]" in shown
    assert "all data is lost" in shown
    assert "http://127.0.0.1:8000/" in shown
    assert all(len(line) <= width for line in text.splitlines())


def test_bars_are_as_long_as_their_share() -> None:
    view = DemoView()
    assert [len(view.bar(part, 16)) for part in (0.0, 0.001, 0.5, 1.0, 1.7)] == [0, 1, 8, 16, 16]


def test_the_sparkline_is_scaled_to_the_fastest_second() -> None:
    view = DemoView()
    for speed in (0.0, 50.0, 100.0, None):
        view.add(make_frame(events_per_s=speed))
    assert view.sparkline() == " ▄█ "


def test_a_terminal_without_unicode_gets_plain_bars() -> None:
    view = DemoView(unicode=False)
    view.add(make_frame())
    assert view.bar(1.0, 4) == "####"
    assert view.sparkline().isascii()


def test_before_the_first_event_the_picture_is_drawn_too() -> None:
    funnel = {"sessions": 0, "viewed": 0, "carted": 0, "bought": 0}
    frame = make_frame(events_per_s=None, delay=None, funnel_today=funnel, today={"orders": 0, "revenue": []})
    assert "no worker yet" in draw(Frame(frame.live, {"products": []}, 0, frame.url))


def test_catching_up_says_as_of_when() -> None:
    assert "catching up, as of 2026-03-05 10:20:30Z" in draw(make_frame(mode="replay"))


def test_history_that_waits_is_said_with_how_far_it_is() -> None:
    waits = {"waiting": 4_812, "history_to": "2026-03-05T10:01:02Z"}
    for frame in (make_frame(mode="replay", backlog=waits), make_frame(backlog=waits)):
        words = "replaying history, at 10:01:02Z: 4,812 events wait; then live"
        assert words in " ".join(draw(frame).split())
        assert words in plain_line(frame)
        assert not phase_of(frame.live).is_live


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ({"backlog": None}, "live"),
        ({"totals": {"applied": 0, "duplicates": 0, "late": 0, "rejected": 0, "lost": 0}}, "starting"),
    ],
)
def test_without_history_it_is_live_once_an_event_was_counted(live: dict[str, Any], words: str) -> None:
    assert phase_of(make_frame(**live).live).words == words


def test_where_there_is_no_terminal_it_is_said_once_that_history_is_done() -> None:
    out = StringIO()
    console = Console(file=out, width=200)
    with Live(console=console, auto_refresh=False) as live:
        screen = DemoScreen(console, live)
        screen.warn(PartWarning("api", "[a] page"))
        history = make_frame(backlog={"waiting": 1, "history_to": "2026-03-05T10:01:02Z"})
        for frame in [make_frame(), history, *[make_frame()] * STEADY_FRAMES, history, *[make_frame()] * 9]:
            screen.show(frame)
    lines = out.getvalue().splitlines()
    assert lines[0] == "api: [a] page"
    assert lines.count(READY) == 1
    assert lines.index(READY) == 1 + 2 + STEADY_FRAMES


def test_warnings_of_the_parts_are_below_the_picture() -> None:
    console = Console(file=StringIO(), width=120, height=40)
    console.print(DemoView().render(make_frame(), 120, ["api: pages of [x] may not send"]))
    assert "api: pages of [x] may not send" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_plain_line_has_no_line_breaks_and_names_what_was_lost() -> None:
    line = plain_line(make_frame())
    assert line.startswith("10:20:30Z live | 51.3 events/s | 523 active | sessions 1200 carted 300 bought 60")
    assert "98765 applied, 0 lost | 412 MB" in line
    assert "\n" not in line
