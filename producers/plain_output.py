"""What goes on, for outputs that are no terminal: a line now and then, in place of pictures that move."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

EVERY_S = 10.0


class SeldomLines:
    """Prints a line every `EVERY_S` where the console is no terminal; nothing on one."""

    def __init__(self, console: Console, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock_s = clock_s
        self._said_s = clock_s()

    def say(self, line: str, *, now: bool = False) -> None:
        """Print the line if it is time, or `now`."""
        now_s = self._clock_s()
        if self._console.is_terminal or not (now or now_s - self._said_s >= EVERY_S):
            return
        self._said_s = now_s
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def say_status(console: Console, text: str) -> Iterator[None]:
    """A line that moves as long as something takes; one that stands where the output is no terminal."""
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        SeldomLines(console).say(text, now=True)
        yield


class LineProgress(Progress):
    """A progress display whose lines begin with a title, gone at its end; elsewhere lines, which stay."""

    def __init__(
        self, console: Console, title: str, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        columns = (
            TextColumn(title, markup=False),
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        super().__init__(*columns, console=console, transient=True)
        self._title = title
        self._lines = SeldomLines(console, clock_s)

    def add_task(self, *args: Any, **kwargs: Any) -> TaskID:
        """As rich does; elsewhere the first line comes at once."""
        task_id = super().add_task(*args, **kwargs)
        self._lines.say(self._line_of(task_id), now=True)
        return task_id

    def update(self, task_id: TaskID, **kwargs: Any) -> None:
        """As rich does; elsewhere a line if it is time."""
        super().update(task_id, **kwargs)
        self._lines.say(self._line_of(task_id))

    def _line_of(self, task_id: TaskID) -> str:
        task = self._tasks[task_id]
        share = f", {task.percentage:.0f} %" if task.total else ""
        elapsed = f", {task.elapsed:.0f} s" if task.elapsed else ""
        return f"{self._title}: {task.description}{share}{elapsed}"
