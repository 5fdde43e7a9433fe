"""The demo as a person runs it: it moves, it says that it forgets, and it ends without a trace."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.stack.record import find_settings
from services import wait_until

FIRST_EVENTS_S = 60
END_S = 40
MEMORY_MB = 700
LEAVE_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOW_CURSOR = b"\x1b[?25h"


def demo_argv(state: Path, *more: str) -> list[str]:
    argv = [sys.executable, "-P", "-m", "ops.cli", "demo", "--state", str(state), "--history", "2"]
    return [*argv, *more]


def left_over(state: Path) -> list[str]:
    """Command lines of processes that were started for this state folder and still run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEMO_TEST_STATE") == str(state):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


class Terminal:
    """A demo in a pseudo-terminal."""

    def __init__(self, state: Path) -> None:
        self._own, theirs = pty.openpty()
        env = {**os.environ, "DEMO_TEST_STATE": str(state), "TERM": "xterm", "COLUMNS": "110", "LINES": "40"}
        self.process = subprocess.Popen(
            demo_argv(state), stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        self.output = b""

    def read(self) -> bytes:
        """Everything written so far."""
        while select.select([self._own], [], [], 0)[0]:
            try:
                part = os.read(self._own, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            self.output += part
        return self.output

    def has_ended(self) -> bool:
        """Whether the demo ended; reads on, for a full terminal would block it."""
        self.read()
        return self.process.poll() is not None

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._own)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def test_without_a_terminal_it_prints_a_line_a_second_and_ends_by_itself(tmp_path: Path) -> None:
    env = {**os.environ, "DEMO_TEST_STATE": str(tmp_path)}
    done = subprocess.run(
        demo_argv(tmp_path, "--duration", "15"),
        capture_output=True,
        text=True,
        env=env,
        timeout=FIRST_EVENTS_S + END_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("starting ")
    assert "all data is lost" in lines[1]
    frames = [line for line in lines if " events/s | " in line]
    assert len(frames) >= 5
    applied = [int(match[1]) for line in frames if (match := re.search(r"(\d+) applied, 0 lost", line))]
    assert applied == sorted(applied)
    assert applied[-1] > applied[0]
    memory = [int(match[1]) for line in frames if (match := re.search(r"(\d+) MB", line))]
    assert max(memory) < MEMORY_MB
    assert lines[-1].startswith("stopped after ")
    assert "\x1b" not in done.stdout
    assert left_over(tmp_path) == []


def frames_in(path: Path) -> int:
    """Lines of figures written so far."""
    return path.read_text().count(" events/s | ")


def test_pages_of_this_machine_may_send_and_the_figures_go_on_when_keys_are_made(tmp_path: Path) -> None:
    env = {**os.environ, "DEMO_TEST_STATE": str(tmp_path)}
    written = tmp_path / "written"
    with written.open("w") as out:
        demo = subprocess.Popen(demo_argv(tmp_path), stdout=out, stderr=out, env=env, start_new_session=True)
    try:
        wait_until(lambda: frames_in(written) > 0, FIRST_EVENTS_S, "the first figures")
        url = f"http://127.0.0.1:{find_settings(tmp_path).api_port}"
        event = {"event_type": "view", "user_id": "neighbour", "product_id": "p1"}
        for origin in ("http://localhost:5173", "http://127.0.0.1:3000", "https://localhost:8443"):
            answer = httpx.post(f"{url}/v1/events", json=event, headers={"Origin": origin})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, origin)
        elsewhere = httpx.post(f"{url}/v1/events", json=event, headers={"Origin": "https://evil.example"})
        assert elsewhere.status_code == 403

        made = CliRunner().invoke(
            app, ["keys", "create", "mine", "--scope", "insights:read", "--state", str(tmp_path)]
        )
        assert made.exit_code == 0, made.output
        wait_until(lambda: httpx.get(f"{url}/v1/live").status_code == 401, 10, "the door to be shut")
        before = frames_in(written)
        wait_until(lambda: frames_in(written) > before + 2, 20, "the figures to go on")
        mine = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert httpx.get(f"{url}/v1/live", headers=mine).status_code == 200

        reset = CliRunner().invoke(app, ["keys", "reset", "--yes", "--state", str(tmp_path)])
        assert reset.exit_code == 0, reset.output
        wait_until(lambda: httpx.get(f"{url}/v1/live").status_code == 200, 10, "the door to be open")
        before = frames_in(written)
        wait_until(lambda: frames_in(written) > before + 2, 20, "the figures to go on")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(END_S)
    assert left_over(tmp_path) == []


def test_ctrl_c_stops_everything_and_gives_the_terminal_back(terminal: Terminal, tmp_path: Path) -> None:
    wait_until(lambda: b"trending products" in terminal.read(), FIRST_EVENTS_S, "the first picture")
    running = left_over(tmp_path)
    assert len(running) >= 6
    assert [line for line in running if line.endswith(" deliver")], "alerts reach webhooks"
    os.kill(terminal.process.pid, signal.SIGINT)
    wait_until(terminal.has_ended, END_S, "the end")
    output = terminal.read()
    assert terminal.process.returncode == 0, output[-2_000:]
    assert LEAVE_ALTERNATE_SCREEN in output
    assert SHOW_CURSOR in output
    assert b"stopped" in output.rpartition(LEAVE_ALTERNATE_SCREEN)[2]
    assert left_over(tmp_path) == []
