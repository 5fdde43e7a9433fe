"""What commands say about themselves, and about what is missing."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ops import extras
from ops.cli import app


def commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *words, name)


@pytest.mark.parametrize("words", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_is_text_and_no_pictures(words: tuple[str, ...]) -> None:
    """Help is marked-up text, in which `:shoe:` is a picture of one."""
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    drawn = "─│╭╮╰╯├┤…"
    assert not [char for char in result.output if not char.isascii() and char not in drawn]


@pytest.mark.parametrize("words", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_is_whole_in_a_narrow_terminal(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert "…" not in result.output


def test_help_of_predict_shows_the_whole_form_of_an_action() -> None:
    result = CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "300"})
    assert "view:p17:59.90 cart:p17:59.90" in result.output


def test_what_training_lacks_is_installed_by_the_command_that_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from pathlib import Path\n"
        "from ops.learning.training import TrainingOptions, run_training\n"
        "raise SystemExit(run_training(TrainingOptions((), Path('out'), Path('runs'))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("torch is missing: ")
    assert done.stderr.count("\n") == 1
    python, *arguments = shlex.split(done.stderr.partition(": ")[2])
    assert (python, arguments[:4]) == (sys.executable, ["-m", "pip", "install", "-c"])
    assert Path(arguments[4]).is_file()
    root, _, name = arguments[6].rstrip("]").partition("[")
    assert arguments[5] == "-e"
    extras = tomllib.loads(Path(root, "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert any(each.startswith("torch") for each in extras[name])


def test_without_a_clone_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_ROOT", tmp_path)
    assert (
        extras.install_command("train") == f"{shlex.quote(sys.executable)} -m pip install 'storepulse[train]'"
    )


@pytest.mark.parametrize(
    ("present", "lacking", "named"),
    [
        ((), ("archive", "train"), "archive,train"),
        (("polars", "fsspec"), ("train",), "archive,train"),
        (("polars",), ("local",), "local,replay"),
    ],
)
def test_in_the_image_extras_are_built_in_beside_those_that_it_has(
    present: tuple[str, ...], lacking: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    monkeypatch.setattr(sys, "prefix", re.findall(r"python -m venv (\S+)", dockerfile)[0])
    monkeypatch.setattr(extras, "find_spec", lambda name: name in present or None)
    assert extras.install_command(*lacking) == f"EXTRAS={named} docker compose build"
