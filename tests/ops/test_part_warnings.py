"""What `up` repeats of the logs of its parts."""

import sys
from pathlib import Path

import pytest

from ops.stack.child import LARGEST_LOG_BYTES, Child
from ops.stack.part_warnings import READ_EVERY_S, SAY_AGAIN_S, PartWarnings
from ops.stack.supervision import Part

AT = "2026-03-05T10:20:30.123Z"


class Log:
    """A part, whose log is written by hand, and its reader; `s` is the time that the reader sees."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = Part("api", "http://127.0.0.1:1/livez", Child("api", [sys.executable, "-V"], path))
        self.s = 0.0
        self._warnings = PartWarnings(lambda: self.s)

    def write(self, *lines: str, end: str = "\n") -> None:
        with self.path.open("a") as log:
            log.write("\n".join(lines) + end)

    def read(self) -> list[str]:
        self.s += READ_EVERY_S
        return [warning.message for warning in self._warnings.read([self.part])]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "api.log")


def test_lines_from_the_level_warning_up_are_given_in_both_forms(log: Log) -> None:
    log.write(
        f"{AT} INFO api.request_log: GET / 200 in 1 ms",
        f"{AT} WARNING api.identity.x: [one] page",
        '{"ts":"' + AT + '","level":"ERROR","logger":"stream.worker","message":"two"}',
        '{"ts":"' + AT + '","level":"INFO","logger":"stream.worker","message":"three"}',
        "{half a line",
        "Traceback (most recent call last):",
        "ValueError: WARNING x: four",
    )
    assert log.read() == ["[one] page", "two"]
    assert log.read() == []


def test_warnings_of_libraries_are_left_to_the_log_and_their_errors_are_not(log: Log) -> None:
    log.write(f"{AT} WARNING aiokafka.conn: retry", f"{AT} ERROR aiokafka.conn: gone")
    assert log.read() == ["gone"]


def test_what_differs_in_numbers_alone_is_given_once_in_a_while(log: Log) -> None:
    log.write(f"{AT} WARNING a: 3 records wait", f"{AT} WARNING a: 4 records wait")
    assert log.read() == ["3 records wait"]
    log.s += SAY_AGAIN_S
    log.write(f"{AT} WARNING a: 5 records wait")
    assert log.read() == ["5 records wait"]


def test_a_line_is_read_when_it_is_whole_and_earlier_runs_are_not(log: Log) -> None:
    log.write(f"{AT} WARNING a: of yesterday")
    log.part.child.start()
    log.part.child.kill()
    log.write(f"{AT} WARNING a: of to", end="")
    assert log.read() == []
    log.write("day")
    assert log.read() == ["of today"]


def test_a_log_that_was_set_aside_is_read_from_its_start(log: Log) -> None:
    log.write("x" * (LARGEST_LOG_BYTES + 1))
    log.part.child.start()
    log.part.child.kill()
    log.path.write_text("")
    log.write(f"{AT} WARNING a: begun anew")
    assert log.read() == ["begun anew"]


def test_a_part_without_a_log_has_no_warnings(log: Log) -> None:
    assert log.read() == []
