"""Where a replay stands, kept on disk so that an interrupted one can go on."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import orjson


class Checkpoint(NamedTuple):
    """Rows of the file, in time order, whose records are all acknowledged, and the shift of times (ms)."""

    rows: int
    shift_ms: int


class CheckpointFile:
    """The checkpoint of one file going to one place. Another file, or the same one changed, has another."""

    def __init__(self, folder: Path, *, name: str, fingerprint: str, destination: str) -> None:
        self._identity = {"file": name, "fingerprint": fingerprint, "destination": destination}
        digest = hashlib.blake2b(orjson.dumps(self._identity), digest_size=8).hexdigest()
        self.path = folder / f"{Path(name).stem[:60]}-{digest}.json"

    def load(self) -> Checkpoint | None:
        """The saved checkpoint; None if there is none or it is unreadable."""
        try:
            fields = orjson.loads(self.path.read_bytes())
            return Checkpoint(int(fields["rows"]), int(fields["shift_ms"]))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the saved checkpoint in one step: a reader sees the old one or this one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(orjson.dumps(self._identity | checkpoint._asdict()))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def remove(self) -> None:
        """Forget the checkpoint."""
        self.path.unlink(missing_ok=True)
