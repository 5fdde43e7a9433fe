"""What a check of the doctor comes to."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a check came out; only FAIL makes the exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor: what was looked at, what was found, and what to do (empty when ok)."""

    name: str
    level: Level
    found: str
    advice: str = ""


MAX_CLOCK_APART_MS = 2_000


def check_clock(name: str, apart_ms: int) -> Check:
    """Does a service's clock agree with ours? `apart_ms` is theirs minus ours."""
    if abs(apart_ms) <= MAX_CLOCK_APART_MS:
        return Check(f"clock of {name}", Level.OK, f"{apart_ms:+d} ms")
    return Check(f"clock of {name}", Level.WARN, f"{apart_ms:+d} ms", "run NTP on both machines")
