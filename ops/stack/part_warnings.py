"""Warnings of a stack's parts, for its terminal: what they have written into their logs since the start."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import orjson

from ops.stack.supervision import Part

READ_EVERY_S = 1.0
SAY_AGAIN_S = 600.0
_MOST_BYTES = 256 * 1024
"""Of one log at once; the rest comes next time."""
_MOST_CHARS = 500
_TEXT_LINE = re.compile(r"\S+Z (WARNING|ERROR|CRITICAL) ([\w.]+): (.*)")
_LEVELS = ("WARNING", "ERROR", "CRITICAL")
_OTHERS = ("aiokafka", "faust", "kafka", "mode", "uvicorn", "stream.consumer.kafka_log")
"""Loggers of libraries: their warnings are of use beside the other lines of the log only."""


class PartWarning(NamedTuple):
    """A line of the level WARNING or above, without time, level and logger."""

    part: str
    message: str


class PartWarnings:
    """Reads on in the logs of our own processes; those of Kafka and Redis have their own form.

    Lines that differ in numbers alone are given once in `SAY_AGAIN_S`, and those that libraries write at the
    level WARNING are not.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._read_s = float("-inf")
        self._places: dict[str, int] = {}
        self._said_s: dict[tuple[str, str], float] = {}

    def read(self, parts: Iterable[Part]) -> Iterator[PartWarning]:
        """What is new in the logs of the parts with a health of ours; nothing within `READ_EVERY_S`."""
        now_s = self._clock_s()
        if now_s - self._read_s < READ_EVERY_S:
            return
        self._read_s = now_s
        for part in parts:
            if part.where.startswith("http"):
                for line in self._new_lines(part):
                    message = _warning_in(line)
                    if message and self._is_new((part.name, re.sub(r"\d+", "0", message)), now_s):
                        yield PartWarning(part.name, message[:_MOST_CHARS])

    def _new_lines(self, part: Part) -> list[str]:
        start = self._places.setdefault(part.name, part.child.log_start)
        try:
            with part.log_path.open("rb") as log:
                if log.seek(0, 2) < start:  # set aside, and begun anew
                    start = 0
                log.seek(start)
                found = log.read(_MOST_BYTES)
        except OSError:
            return []
        whole = found[: found.rfind(b"\n") + 1] or (found if len(found) == _MOST_BYTES else b"")
        self._places[part.name] = start + len(whole)
        return whole.decode(errors="replace").splitlines()

    def _is_new(self, kind: tuple[str, str], now_s: float) -> bool:
        said_s = self._said_s.get(kind)
        if said_s is not None and now_s - said_s < SAY_AGAIN_S:
            return False
        self._said_s = {one: at_s for one, at_s in self._said_s.items() if now_s - at_s < SAY_AGAIN_S}
        self._said_s[kind] = now_s
        return True


def _warning_in(line: str) -> str:
    """The message of a line that is one; empty for any other, and for those of a traceback."""
    if line.startswith("{"):
        try:
            fields = orjson.loads(line)
            level, logger, message = str(fields["level"]), str(fields["logger"]), str(fields["message"])
        except (orjson.JSONDecodeError, KeyError):
            return ""
    else:
        match = _TEXT_LINE.fullmatch(line)
        if match is None:
            return ""
        level, logger, message = match.groups()
    is_of_library = any(logger == name or logger.startswith(f"{name}.") for name in _OTHERS)
    return message if level in _LEVELS and not (is_of_library and level == "WARNING") else ""
