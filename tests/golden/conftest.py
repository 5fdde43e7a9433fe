"""The time at which the installation of an earlier version was left."""

import time
from collections.abc import Callable

import pytest

from golden_installation import about

SetClock = Callable[..., None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """`set_clock(after_s=0, stands=False)`: the wall clock of this process so long after that time."""

    def set_to(*, after_s: int = 0, stands: bool = False) -> None:
        left_ns: int = (about()["now_ms"] + after_s * 1_000) * 1_000_000
        begun_ns = time.monotonic_ns()

        def now_ns() -> int:
            return left_ns if stands else left_ns + time.monotonic_ns() - begun_ns

        monkeypatch.setattr(time, "time_ns", now_ns)
        monkeypatch.setattr(time, "time", lambda: now_ns() / 1e9)

    return set_to
