"""Apache Kafka's jars: resolved by Maven once per user, then kept in the cache folder."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.1.1"
POM = Path(__file__).with_name("kafka") / "pom.xml"


class JarsError(RuntimeError):
    """The jars cannot be had; the message says what is missing or what Maven answered."""


def cache_folder() -> Path:
    """Where Storepulse keeps what it downloads for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "storepulse"


def jars_folder() -> Path:
    """Where the jars of `KAFKA_VERSION` lie once they are resolved."""
    return cache_folder() / f"kafka-{KAFKA_VERSION}"


def resolve_jars(timeout_s: float = 600.0) -> Path:
    """The folder with Kafka's jars, filled by Maven if it is not there yet; raises `JarsError`."""
    folder = jars_folder()
    if folder.is_dir():
        return folder
    mvn = shutil.which("mvn")
    if mvn is None:
        raise JarsError("Maven (mvn) is not installed; it downloads Apache Kafka's jars")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        # Another process may have filled it while we waited for the lock.
        if not folder.is_dir():
            _copy_dependencies(mvn, folder, timeout_s)
    return folder


def _copy_dependencies(mvn: str, folder: Path, timeout_s: float) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="resolving-") as scratch:
        # Maven writes next to the pom, which may lie in a read-only installation.
        pom = shutil.copy(POM, scratch)
        jars = Path(scratch) / "jars"
        command = [mvn, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as exc:
            raise JarsError(f"Maven did not fetch Apache Kafka within {timeout_s:.0f} s") from exc
        if done.returncode != 0:
            raise JarsError(
                f"Maven failed to fetch Apache Kafka:\n{(done.stdout + done.stderr)[-2000:].strip()}"
            )
        jars.rename(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
