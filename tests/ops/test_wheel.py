"""What is installed from a wheel, which is built from the source archive, runs in an empty folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services import lack, wait_until

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"

pytestmark = pytest.mark.slow


def run(*argv: str | Path, cwd: Path, timeout_s: float = 300.0) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STOREPULSE"))}
    env["CFLAGS"] = "-O0"  # optimising takes longer than all the rest
    return subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from an archive of what git tracks, as it is in the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    made = run(sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", folder, cwd=folder / "source")
    assert made.returncode == 0, made.stderr
    [archive] = folder.glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    made = run(*pip, "--wheel-dir", folder, archive, cwd=folder)
    assert made.returncode == 0, made.stderr
    [found] = folder.glob("*.whl")
    return found


def test_a_wheel_runs_the_demo_and_names_the_extra_it_lacks(wheel: Path, tmp_path: Path) -> None:
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    empty.mkdir()
    made = run(sys.executable, "-m", "venv", environment, cwd=empty)
    assert made.returncode == 0, made.stderr
    python, storepulse = environment / "bin" / "python", environment / "bin" / "storepulse"
    # Most of what is installed is never imported here, so it is not compiled.
    pip = (
        python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile", "-c",
        CONSTRAINTS,
    )  # fmt: skip
    installed = run(*pip, wheel, cwd=empty)
    if installed.returncode != 0:
        lack(f"the dependencies cannot be installed here: {installed.stderr[-500:]}")
    assert run(storepulse, "version", cwd=empty).stdout == "storepulse 0.1.0\n"

    for command, extra in (("demo", "local"), ("replay events.csv", "replay")):
        refused = run(storepulse, *command.split(), cwd=empty)
        assert refused.returncode == 2
        assert f"pip install 'storepulse[{extra}]'" in refused.stderr

    added = run(*pip, f"{wheel}[local]", cwd=empty)
    assert added.returncode == 0, added.stderr
    log_path = tmp_path / "demo.log"
    with log_path.open("w") as log:
        demo = subprocess.Popen([storepulse, "demo"], cwd=empty, stdout=log, stderr=log)
        try:
            wait_until(lambda: " 0 lost" in log_path.read_text(), 90, "the demo's first figures")
        finally:
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0, log_path.read_text()
