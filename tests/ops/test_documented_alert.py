"""The recipe of docs/alerts.md, command by command, against a stack with the settings that it names."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.stack.options import StackOptions
from ops.stack.ports import pick_port
from ops.stack.stack import Stack
from services import lack, wait_until

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
RECIPE = PAGE.partition("## Your first real alert")[2].partition("\n## ")[0]
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", RECIPE, re.DOTALL)).splitlines()
(SHOWN,) = re.findall(r"```\n(listening.*?)```", RECIPE, re.DOTALL)
UP = re.compile(r"((?:STOREPULSE_\w+=\w+ )+)storepulse up")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = UP.fullmatch(next(line for line in COMMANDS if line.endswith("storepulse up")))
    assert found is not None
    settings = dict(pair.split("=") for pair in found[1].split())
    fields = {name.removeprefix("STOREPULSE_").lower(): value for name, value in settings.items()}
    with Stack(StackOptions(state=tmp_path / "state", deliver=True, settings=fields)) as stack:
        yield stack


class Shell:
    """Runs the commands of the page with the ports and the folder of this test."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._state = stack.state
        self._ports = {"localhost:8000": f"localhost:{stack.settings.api_port}", "9999": str(pick_port())}
        program = folder / "storepulse"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m ops.cli "$@"\n')
        program.chmod(0o755)
        self._env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    def start(self, line: str, out: Path) -> subprocess.Popen[bytes]:
        for documented, own in self._ports.items():
            line = line.replace(documented, own)
        if " add " in line:
            line += f" --state {self._state}"
        with out.open("wb") as file:
            return subprocess.Popen(
                ["sh", "-c", line], stdout=file, stderr=file, env=self._env, start_new_session=True
            )

    def run(self, line: str, out: Path) -> str:
        assert self.start(line, out).wait(60) == 0, out.read_text()
        return out.read_text()


def test_the_recipe_ends_with_an_alert_and_its_end_in_the_receivers_hands(
    stack: Stack, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        lack("no curl on this machine")
    _, add, listen, cart, purchase = COMMANDS
    shell, heard = Shell(stack, tmp_path), tmp_path / "heard"
    secret = re.search(r"whsec_\S+", shell.run(add, tmp_path / "added"))
    assert secret is not None
    receiver = shell.start(listen.replace("whsec_...", secret[0]), heard)
    try:
        wait_until(lambda: "listening on" in heard.read_text(), 60, "the receiver")
        assert '"accepted":1' in shell.run(cart, tmp_path / "sent")
        wait_until(lambda: ".firing " in heard.read_text(), 120, "the alert")
        assert '"accepted":1' in shell.run(purchase, tmp_path / "sent")
        wait_until(lambda: ".resolved " in heard.read_text(), 60, "its end")
    finally:
        os.killpg(receiver.pid, signal.SIGKILL)
        receiver.wait()
    documented = [line.split()[:4] for line in SHOWN.splitlines()[1:]]
    assert [line.split()[:4] for line in heard.read_text().splitlines()[1:]] == documented
