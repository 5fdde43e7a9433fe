"""Commands that take long say so where their output is no terminal: a line now and then."""

from io import StringIO

from rich.console import Console

from producers.plain_output import EVERY_S, LineProgress, say_status
from producers.simulator.running import Output, SimulationView


def make_console(*, is_terminal: bool = False) -> Console:
    return Console(file=StringIO(), width=60, force_terminal=is_terminal, color_system=None)


def lines_of(console: Console) -> list[str]:
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text.splitlines()


def test_progress_is_a_line_at_the_start_and_then_one_every_so_often() -> None:
    console, now_s = make_console(), [0.0]
    with LineProgress(console, "shop.csv", clock_s=lambda: now_s[0]) as progress:
        task = progress.add_task("events", total=200)
        progress.update(task, completed=50)
        now_s[0] = EVERY_S
        progress.update(task, completed=100)
        progress.update(task, completed=150, description="the end")
        now_s[0] = 2 * EVERY_S
        progress.update(task, completed=200)
    heads = [line.rpartition(", ")[0] if line.endswith(" s") else line for line in lines_of(console) if line]
    assert heads == ["shop.csv: events, 0 %", "shop.csv: events, 50 %", "shop.csv: the end, 100 %"]


def test_what_has_no_end_in_sight_has_no_share() -> None:
    console = make_console()
    with LineProgress(console, "shop.csv") as progress:
        progress.add_task("sorting", total=None)
    assert [line.partition(", ")[0] for line in lines_of(console) if line] == ["shop.csv: sorting"]


def test_on_a_terminal_nothing_of_it_stays() -> None:
    console = make_console(is_terminal=True)
    with LineProgress(console, "shop.csv") as progress:
        progress.add_task("events [1]", total=2)
    assert "shop.csv: events" not in "".join(lines_of(console))


def test_a_status_is_a_line_elsewhere() -> None:
    console = make_console()
    with say_status(console, "sorting [a].csv"):
        assert lines_of(console) == ["sorting [a].csv"]


def test_a_simulation_to_a_file_says_how_far_it_is() -> None:
    console = make_console()
    view = SimulationView(console, "shop", "EUR", 100)
    view.update(Output(events=5))
    assert lines_of(console) == []
