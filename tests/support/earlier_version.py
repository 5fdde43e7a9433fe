"""Workers of an earlier version, from the history of this repository."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REVISION = "753b379"
"""The version that wrote `tests/golden`; both change together."""


def check_out(folder: Path) -> dict[str, str]:
    """Put that version into the folder; returns the environment in which our Python runs it.

    It takes its steps in Python, which are the definition of the compiled ones. Skips the test where the
    history does not go back so far, as in a shallow clone or an archive.
    """
    if shutil.which("git") is None:
        pytest.skip("no git to get an earlier version with")
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", REVISION], capture_output=True, timeout=60, check=False
    )
    if archive.returncode:
        pytest.skip(f"revision {REVISION} is not in the history here: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    env = {"PYTHONPATH": str(folder), "STOREPULSE_COMPILED": "false"}
    assert package_folder(env) == folder, "our own packages came first"
    return env


def package_folder(env: dict[str, str]) -> Path:
    """Where the packages lie that our Python takes in this environment."""
    program = "import ops, stream; print(stream.__path__[0]); print(ops.__path__[0])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    (folder,) = {Path(line).parent for line in done.stdout.split()}
    return folder
