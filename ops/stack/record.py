"""What runs where: the record a stack keeps in its state folder, for every command that looks for it."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

import psutil

from contracts.settings import SECRETS, Settings
from ops.stack.env_file import is_from_file

DEFAULT_STATE = Path(".storepulse")


@dataclass(frozen=True, slots=True)
class PartRecord:
    """One process of a stack; `created_s` (epoch seconds) tells it from a later owner of the pid.

    Both are 0 for a part that has ended and is to be started again.
    """

    name: str
    where: str
    pid: int
    created_s: float
    log: str
    restarts: int

    def runs(self) -> bool:
        """Whether this very process still runs."""
        if not self.pid:
            return False
        try:
            return bool(abs(psutil.Process(self.pid).create_time() - self.created_s) < 1.0)
        except psutil.Error:
            return False


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A running stack: the process that supervises it, its parts, and the settings they run with."""

    owner: PartRecord
    parts: tuple[PartRecord, ...]
    settings: dict[str, Any]

    def write(self, state: Path) -> None:
        """Replace the record in the state folder, so that readers never see half of it; raises `OSError`."""
        scratch = state / f"stack.json.{os.getpid()}"
        scratch.write_text(json.dumps(asdict(self), indent=2), encoding="ascii")  # paths may be no UTF-8
        scratch.rename(_path(state))


def part_record(name: str, where: str, pid: int, log: Path | None = None, restarts: int = 0) -> PartRecord:
    """The record of a process that runs now, or that has just ended."""
    try:
        process = psutil.Process(pid)
        created_s = 0.0 if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        created_s = 0.0
    pid = pid if created_s else 0
    return PartRecord(name, where, pid, created_s, str(log or ""), restarts)


def read_record(state: Path) -> StackRecord | None:
    """The record in the state folder, its owner running or not; None when there is none.

    One that cannot be read is none: a machine that lost its power may have left it empty. Fields that another
    version has more are passed over.
    """
    try:
        record = json.loads(_path(state).read_bytes())
        owner, parts = _to_part(record["owner"]), tuple(map(_to_part, record["parts"]))
        known = {name: value for name, value in record["settings"].items() if name in Settings.model_fields}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return StackRecord(owner, parts, known)


def remove_record(state: Path) -> None:
    """Forget the stack of this state folder."""
    _path(state).unlink(missing_ok=True)


def await_leftovers(state: Path, timeout_s: float) -> str:
    """Wait for the parts of a stack that was killed, which the guard ends; names those that still run."""
    record = read_record(state)
    deadline = time.monotonic() + timeout_s
    while True:
        left = [part for part in record.parts if part.runs()] if record else []
        if not left or time.monotonic() > deadline:
            return ", ".join(f"{part.name} (pid {part.pid})" for part in left)
        time.sleep(0.1)


def find_settings(state: Path = DEFAULT_STATE) -> Settings:
    """Settings of the stack that runs in this folder; ours without one or with STOREPULSE_BOOTSTRAP set.

    In `.env` it does not count as set: that is for `storepulse up` too, which may run another broker.
    """
    record = read_record(state)
    is_named = "STOREPULSE_BOOTSTRAP" in os.environ and not is_from_file("STOREPULSE_BOOTSTRAP")
    if record is None or not record.owner.runs() or is_named:
        return Settings()
    return Settings(**record.settings)


def is_live(state: Path = DEFAULT_STATE) -> bool:
    """Whether a stack runs in this folder."""
    record = read_record(state)
    return record is not None and record.owner.runs()


def settings_fields(settings: Settings) -> dict[str, Any]:
    """The settings as JSON values, without secrets, which each process reads from its own environment."""
    return settings.model_dump(mode="json", exclude=set(SECRETS), exclude_none=True)


def settings_environment(settings: Settings) -> dict[str, str]:
    """The `STOREPULSE_*` variables a child needs to have these settings, on top of our own environment.

    A password of our environment must not reach a Redis of ours that has none.
    """
    found = {f"STOREPULSE_{name.upper()}": _text(value) for name, value in settings_fields(settings).items()}
    if not settings.has_redis_password:
        found |= {"STOREPULSE_REDIS_PASSWORD": "", "STOREPULSE_REDIS_PASSWORD_FILE": ""}
    return found


def lock_state(state: Path) -> TextIO | None:
    """The lock of the state folder, held until it is closed or we end; None when another stack has it.

    Raises `OSError` where nothing can be written.
    """
    state.mkdir(parents=True, exist_ok=True)
    lock = (state / "stack.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _to_part(record: dict[str, Any]) -> PartRecord:
    return PartRecord(**{field.name: record[field.name] for field in fields(PartRecord)})


def _path(state: Path) -> Path:
    return state / "stack.json"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
