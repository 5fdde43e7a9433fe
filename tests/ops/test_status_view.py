"""The tables of `storepulse status` in narrow terminals."""

from io import StringIO

import pytest
from rich.console import Console

from contracts.heartbeat import Heartbeat
from contracts.topics import EVENT_TOPICS
from ops.diagnosis.status import COUNTERS, PartitionStatus, Status, render, say_ranges


def make_status(value: int, **counters: int) -> Status:
    worker = Heartbeat(
        "shop-server-12-4711-ac4e4d", 0, 1, 26_561.0, 12.0, 48.5, 193 * 2**20, tuple(range(12)), 1
    )
    parts = tuple(
        PartitionStatus(p, dict.fromkeys(EVENT_TOPICS, value), {**dict.fromkeys(COUNTERS, value), **counters})
        for p in range(12)
    )
    return Status(0, parts, (worker,), 2**20)


def draw(status: Status, width: int) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(render(status, width))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.mark.parametrize("width", [80, 120, 200])
def test_every_figure_can_be_read_in_any_width(width: int) -> None:
    text = draw(make_status(1_234_567), width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    for name in (*(f"lag {topic}" for topic in EVENT_TOPICS), *COUNTERS, "shop-server-12-4711-ac4e4d"):
        assert name in text
    assert text.count("1,234,567") == 12 * (len(EVENT_TOPICS) + len(COUNTERS))


def test_what_is_nowhere_anything_is_in_the_sums_alone() -> None:
    text = draw(make_status(0, applied=7, late=2), 80)
    assert "applied 84  duplicates 0  late 24  rejected 0  forgotten 0  lost 0" in text
    heads = [line.split() for line in text.splitlines() if line.split()[:1] == ["p"]]
    assert heads == [["p", "applied", "late"]]


@pytest.mark.parametrize(
    ("numbers", "text"), [((), ""), ((3,), "3"), ((0, 1, 2), "0-2"), ((7, 1, 2, 4), "1-2,4,7")]
)
def test_partitions_are_told_in_short(numbers: tuple[int, ...], text: str) -> None:
    assert say_ranges(numbers) == text
