"""The terminal picture shows the API's numbers, in any width and encoding."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from ops.demo.view import DemoView, Frame, plain_line


def make_frame(**live: Any) -> Frame:
    fields = {
        "as_of": "2026-03-05T10:20:30.123000Z",
        "mode": "live",
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
    console = Console(file=StringIO(), width=width, height=40)
    console.print(view.render(frame, width))
    return console.file.getvalue()  # type: ignore[attr-defined]


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
    assert "everything is forgotten" in shown
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


def test_a_plain_line_has_no_line_breaks_and_names_what_was_lost() -> None:
    line = plain_line(make_frame())
    assert line.startswith("10:20:30Z live | 51.3 events/s | 523 active | sessions 1200 carted 300 bought 60")
    assert "98765 applied, 0 lost | 412 MB" in line
    assert "\n" not in line
