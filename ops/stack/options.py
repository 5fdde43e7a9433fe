"""What a stack shall be made of."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.stack.record import DEFAULT_STATE


class StackError(RuntimeError):
    """The stack cannot start; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What to run. `broker` is `embedded`, `kafka` or HOST:PORT, `redis` is `embedded` or HOST:PORT.

    A port of None is a free one. `settings` overrides fields of `Settings` for every part. `archive` is where
    events are kept in files; None: where the settings say, empty: nowhere.
    """

    broker: str = "embedded"
    redis: str = "embedded"
    workers: int = 1
    state: Path = DEFAULT_STATE
    api: bool = True
    deliver: bool = False
    archive: str | None = None
    learn: bool = False
    api_port: int | None = None
    kafka_port: int | None = None
    redis_port: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises `StackError` for combinations that cannot work."""
        if self.workers < 0:
            raise StackError(f"workers must not be negative, got {self.workers}")
        if self.broker == "embedded" and self.workers > 1:
            raise StackError(
                f"the embedded broker serves one worker, got {self.workers}; use --broker kafka for more"
            )
        if self.broker == "embedded" and self.archive:
            raise StackError(
                "the embedded broker begins anew with each start, so no archive could go on; use --broker "
                "kafka or --broker HOST:PORT with --archive"
            )
        if self.kafka_port is not None and self.broker != "kafka":
            raise StackError(
                f"--kafka-port only applies to --broker kafka, got {self.broker}, whose port is its own"
            )
        if self.redis_port is not None and self.redis != "embedded":
            raise StackError(f"--redis-port only applies to --redis embedded, got {self.redis}")
        if self.broker == "embedded" and self.redis != "embedded":
            raise StackError(
                "the embedded broker loses its records when it stops, so offsets in your own Redis would "
                "point to nothing; use --broker kafka, --broker HOST:PORT or --redis embedded"
            )
