"""How far versions were judged by whoever trains them: one file a slot in the store, whole or not there.

Sums and the time through which sessions are in them stand in the same file, so that a judge who is killed
goes on from there: no session counts twice, and none is left out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from models.lifecycle.pairs import SESSIONS, PairSums, counts_of, pair_name, sums_of
from models.lifecycle.trainer import Stretch
from models.quality import add_up

_FILE = ".judged.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What two versions came to in sessions that began after `after_ms`, the last at `through_ms`.

    Without another version, `other` is empty and the champion's losses are both. `tasks` are the names of the
    losses; `at_ms` is the wall clock of the last look.
    """

    slot: str
    champion: str
    other: str
    tasks: tuple[str, ...]
    after_ms: int
    through_ms: int
    at_ms: int
    counts: Mapping[str, int]

    @property
    def pair(self) -> str:
        """The name of the pair."""
        return pair_name(self.slot, self.champion, self.other)

    @property
    def sums(self) -> PairSums:
        """The sums of the pair."""
        return sums_of(self.counts)

    def add(self, stretch: Stretch, at_ms: int) -> "Standing":
        """With the sessions of the stretch that comes next."""
        counts = add_up([self.counts, *(counts_of(session) for session in stretch.sessions)])
        return replace(self, counts=counts, through_ms=stretch.through_ms, at_ms=at_ms)

    def begun_anew(self) -> "Standing":
        """Without what was judged until now, to be as of late."""
        return replace(self, after_ms=self.through_ms, counts={})

    @property
    def sessions(self) -> int:
        """How many were judged."""
        return self.counts.get(SESSIONS, 0)


def read_standing(slot_folder: Path) -> Standing | None:
    """How far the versions of a slot were judged; None if they were not, or nobody can tell any more."""
    try:
        plain: dict[str, Any] = orjson.loads((slot_folder / _FILE).read_bytes())
        if plain.pop("format") != FORMAT:
            return None
        return Standing(**{**plain, "tasks": tuple(plain["tasks"])})
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def write_standing(slot_folder: Path, standing: Standing) -> None:
    """Put it in the place of the one before; raises `OSError`."""
    slot_folder.mkdir(parents=True, exist_ok=True)
    written = slot_folder / f"{_FILE}.new"
    written.write_bytes(orjson.dumps({"format": FORMAT, **asdict(standing)}) + b"\n")
    written.replace(slot_folder / _FILE)
