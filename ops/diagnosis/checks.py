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
