"""`storepulse up`: a stack in the foreground, with its table, until a signal ends it."""

import logging
import os
import signal
import sys
import threading
from types import FrameType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.stack.child import StartError
from ops.stack.options import StackError, StackOptions
from ops.stack.part_warnings import PartWarnings
from ops.stack.stack import PREFERRED_API_PORT, Stack
from ops.stack.supervision import PartEnded
from producers.plain_output import say_status

CHECK_EVERY_S = 0.2
SHOW_CURSOR = b"\x1b[?25h\n"
"""What the line that says `stopping` has hidden."""


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP: the first asks for an orderly end, the next one kills at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._stack: Stack | None = None
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._handle)

    def watch(self, stack: Stack) -> None:
        """Name the stack a second signal kills."""
        self._stack = stack

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        del frame
        if not self.asked.is_set():
            self.asked.set()
            if self._stack is not None and self._stack.starting:
                raise KeyboardInterrupt
        elif self._stack is not None:
            self._stack.kill()
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), SHOW_CURSOR)
            os._exit(128 + signum)


def run_stack(options: StackOptions, console: Console) -> int:
    """Run a stack until a signal; the exit code is 1 when it could not start or go on."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    signals = StopSignals()
    try:
        stack = Stack(options)
        signals.watch(stack)
        with say_status(console, "starting"):
            stack.start()
    except (StackError, StartError) as exc:
        console.print(Text.assemble(("cannot start: ", "red"), str(exc)))
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(render(stack))
    console.print(_where(stack), highlight=False, soft_wrap=True)
    warnings = PartWarnings()
    try:
        while not signals.asked.wait(CHECK_EVERY_S):
            stack.check()
            for name, message in warnings.read(stack.parts):
                console.print(Text.assemble((f"{name}: ", "yellow"), message), soft_wrap=True)
    except PartEnded as exc:
        console.print(Text.assemble(("the stack stopped: ", "red"), str(exc)))
        return 1
    finally:
        with say_status(console, "stopping; press Ctrl-C again to kill everything at once"):
            stack.stop()
    console.print("stopped")
    return 0


def render(stack: Stack) -> Table:
    """What runs where, as a table."""
    table = Table(box=None, pad_edge=False, caption=_caption(stack), caption_justify="left")
    for column in ("part", "where", "pid", "log"):
        table.add_column(column, overflow="fold")
    for part in stack.parts:
        table.add_row(
            part.name, part.where.removesuffix("/livez"), str(part.child.pid), _short(stack, part.log_path)
        )
    for name, own, where in (
        ("broker", stack.broker, stack.settings.bootstrap),
        ("redis", stack.redis, stack.settings.redis_url),
    ):
        if own is None:
            table.add_row(name, where, "yours", "")
    return table


def _where(stack: Stack) -> str:
    """Where the page is, and which port the documentation's commands want here."""
    port = stack.settings.api_port
    moved = f" (use {port} instead of {PREFERRED_API_PORT} in the commands of the documentation)"
    return f"live page: {stack.api_url}/" + (moved if port != PREFERRED_API_PORT else "")


def _short(stack: Stack, path: os.PathLike[str]) -> str:
    return os.path.relpath(path, stack.state.parent)


def _caption(stack: Stack) -> str:
    memory = stack.options.broker == "embedded"
    forgets = (
        "The embedded broker keeps its data in memory: all data is lost when this stops.\n" if memory else ""
    )
    return f"{forgets}Ctrl-C stops it."
