"""Parts of a running stack that end: which are started again, when, and what is recorded of them."""

import os
import signal
import sys
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from ops.api_client.health import answers
from ops.stack.child import Child, StartError
from ops.stack.options import StackOptions
from ops.stack.record import read_record
from ops.stack.stack import Stack
from ops.stack.supervision import LONGEST_DELAY_S, Part, PartEnded, await_answer, check_part, restart_delay_s
from services import wait_until


@pytest.fixture(scope="module")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One for all tests: each leaves the parts running that the next one needs."""
    with Stack(StackOptions(state=tmp_path_factory.mktemp("stack") / "state", deliver=True)) as stack:
        yield stack


def test_killed_worker_is_started_again(embedded_stack: Stack) -> None:
    worker = embedded_stack.part("worker-1")
    old_pid, before = worker.child.pid, worker.restarts
    worker.child.kill()

    def back() -> bool:
        embedded_stack.check()
        return worker.child.alive and answers(worker.where)

    wait_until(back, 60, "the worker to be back")
    assert worker.restarts == before + 1
    assert worker.child.pid != old_pid
    record = read_record(embedded_stack.state)
    assert record is not None
    assert {part.name: part.restarts for part in record.parts}["worker-1"] == before + 1


def test_record_that_cannot_be_written_ends_no_stack(
    embedded_stack: Stack, caplog: pytest.LogCaptureFixture
) -> None:
    worker = embedded_stack.part("worker-1")
    before, in_the_way = worker.restarts, embedded_stack.state / f"stack.json.{os.getpid()}"
    in_the_way.mkdir()
    worker.child.kill()

    def is_another() -> bool:
        embedded_stack.check()
        return worker.restarts == before + 1 and answers(worker.where)

    wait_until(is_another, 60, "another worker")
    in_the_way.rmdir()
    assert "cannot record the running parts" in caplog.text


@pytest.mark.parametrize("name", ["worker-1", "api", "deliver"])
def test_part_that_is_told_to_end_by_somebody_else_is_replaced(embedded_stack: Stack, name: str) -> None:
    part = embedded_stack.part(name)
    old_pid, before = part.child.pid, part.restarts
    os.kill(old_pid, signal.SIGTERM)
    wait_until(lambda: not part.child.alive, 60, "its end")
    assert part.child.exit_code == 0
    embedded_stack.check()
    record = read_record(embedded_stack.state)
    assert record is not None
    assert {each.name: (each.pid, each.runs()) for each in record.parts}[name] == (0, False)

    def back() -> bool:
        embedded_stack.check()
        return part.child.alive and answers(part.where)

    wait_until(back, 60, "another one")
    record = read_record(embedded_stack.state)
    assert record is not None
    assert {each.name: (each.pid, each.runs(), each.restarts) for each in record.parts}[name] == (
        part.child.pid,
        True,
        before + 1,
    )
    assert part.child.pid != old_pid


def test_part_that_ended_in_order_is_started_again_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = Part("worker-1", "", Child("worker-1", [sys.executable, "-c", ""], tmp_path / "log"))
    part.child.start()
    wait_until(lambda: not part.child.alive, 20, "its end")
    assert check_part(part, part.started_at)
    assert "worker-1 ended with exit code 0, restart in 0.5 s" in caplog.text
    assert check_part(part, part.started_at + 1)
    assert part.restarts == 1
    part.child.kill()


def test_failing_part_is_started_again_after_its_delay(tmp_path: Path) -> None:
    part = Part(
        "api",
        "",
        Child("api", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log"),
        started_at=0.0,
    )
    part.child.start()
    wait_until(lambda: not part.child.alive, 20, "its end")
    assert check_part(part, 10.0)
    assert not check_part(part, 10.4)
    assert check_part(part, 10.5)
    assert part.restarts == 1
    part.child.kill()


def test_restart_delay_doubles_up_to_its_bound() -> None:
    assert [restart_delay_s(n) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert restart_delay_s(50) == LONGEST_DELAY_S


def test_answer_of_somebody_else_on_the_port_does_not_count(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        Thread(target=other.serve_forever).start()
        where = f"http://127.0.0.1:{other.server_port}/"
        assert answers(where)
        part = Part("api", where, Child("api", ["sleep", "1"], tmp_path / "log"))
        part.child.start()
        with pytest.raises(StartError, match="api ended with exit code 0"):
            await_answer(part)
        other.shutdown()


def test_part_that_the_stack_ends_itself_stays_away(embedded_stack: Stack) -> None:
    worker = embedded_stack.part("worker-1")
    assert embedded_stack.remove_worker(worker) == 0
    embedded_stack.check()
    assert not worker.child.alive
    record = read_record(embedded_stack.state)
    assert record is not None
    assert "worker-1" not in [part.name for part in record.parts]


def test_end_of_the_embedded_broker_ends_the_stack(embedded_stack: Stack) -> None:
    embedded_stack.part("broker").child.kill()
    with pytest.raises(PartEnded, match=r"(?s)broker ended with exit code -9; the end of .*broker.log"):
        embedded_stack.check()
