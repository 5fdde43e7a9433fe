"""Holding a process to a share of a core, by Linux' control groups (either version, root is needed)."""

import contextlib
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

PERIOD_US = 20_000
ROOT = Path("/sys/fs/cgroup")


class QuotaError(RuntimeError):
    """This machine lets us hold no process back."""


@contextlib.contextmanager
def held_to(share: float, pid: int) -> Iterator[None]:
    """Hold a process to `share` of one core; it must have ended when the block ends. Raises `QuotaError`."""
    quota_us = int(share * PERIOD_US)
    old = ROOT / "cpu"
    group = (old if old.is_dir() else ROOT) / f"storepulse-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        if old.is_dir():
            (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as exc:
        raise QuotaError(f"no process can be held to a share of a core: {exc}") from exc
    else:
        yield
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


def is_possible() -> bool:
    """Whether a process can be held back here."""
    sleeper = subprocess.Popen(["sleep", "10"])
    try:
        with held_to(1.0, sleeper.pid):
            sleeper.kill()
            sleeper.wait()
            return True
    except QuotaError:
        sleeper.kill()
        sleeper.wait()
        return False
