"""Generators of API clients from Maven, PyPI and npm, fetched once per user into the cache folder."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.stack.kafka_jars import cache_folder

FETCH_S = 600.0
RUN_S = 300.0
TYPESCRIPT = "5.9.3"
OPENAPI_PYTHON_CLIENT = "0.29.0"
PYTHON_CLIENT_NEEDS = ("urllib3>=2", "python-dateutil", "pydantic>=2", "typing-extensions", "httpx", "attrs")


def need(*programs: str) -> None:
    """Skips the test where one of these programs is not installed."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = RUN_S,
) -> str:
    """The output of a program that must end well."""
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, argv))[:300]}\n{(done.stdout + done.stderr)[-6_000:]}"
    return done.stdout


def generator_jar(version: str) -> Path:
    """The jar of this version of openapi-generator-cli; skips the test where it cannot be fetched."""
    need("java", "mvn")
    name = f"openapi-generator-cli-{version}.jar"
    coordinates = f"org.openapitools:openapi-generator-cli:{version}"

    def fetch(folder: Path) -> None:
        copy = f"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact={coordinates}"
        _fetch(["mvn", "-q", "-B", *copy.split(), f"-DoutputDirectory={folder}"])

    return cached(f"openapi-generator-{version}", fetch) / name


def typescript() -> Path:
    """The compiler of TypeScript."""
    need("node", "npm")
    folder = cached(
        f"typescript-{TYPESCRIPT}",
        lambda folder: _fetch(["npm", "install", "--prefix", folder, f"typescript@{TYPESCRIPT}"]),
    )
    return folder / "node_modules" / "typescript" / "bin" / "tsc"


def python_of(name: str, packages: Sequence[str]) -> Path:
    """The Python of an environment of its own with these packages and mypy."""

    def make(folder: Path) -> None:
        _fetch([sys.executable, "-m", "venv", folder])
        _fetch([folder / "bin" / "python", "-m", "pip", "install", "-q", "mypy", *packages])

    return cached(f"python-{name}", make) / "bin" / "python"


def check_types(python: Path, *arguments: str | Path, cwd: Path) -> None:
    """Runs mypy of an environment; what it finds out about libraries is kept for the next run."""
    run([python, "-m", "mypy", "--cache-dir", cache_folder() / "clients" / "mypy", *arguments], cwd=cwd)


def java_libraries(version: str, pom: Path) -> Path:
    """The jars that a generated client needs, by its own pom."""

    def fetch(folder: Path) -> None:
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        _fetch(["mvn", "-q", "-B", "-f", pom, copy, "-DincludeScope=compile", f"-DoutputDirectory={folder}"])

    return cached(f"java-client-{version}", fetch)


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder of this name in the cache, filled if it is not there; a half-filled one is made anew."""
    folder = cache_folder() / "clients" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    done = folder.with_name(f"{name}.done")
    with _locked(folder.with_name(f"{name}.lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            fill(folder)
            done.touch()
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(argv: Sequence[str | Path]) -> None:
    """Runs what downloads; skips the test if it fails, as without a network."""
    done = subprocess.run(
        [str(part) for part in argv], capture_output=True, text=True, timeout=FETCH_S, check=False
    )
    if done.returncode != 0:
        told = (done.stdout + done.stderr).strip().splitlines()
        pytest.skip(f"{argv[0]} could not fetch it: {told[-1] if told else done.returncode}")
