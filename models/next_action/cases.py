"""Every prefix of every session: the cases that models learn from and are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from models.evaluation.splits import boundaries
from models.next_action.encoding import Batch, Inputs
from models.next_action.features import STEP_FEATURES, STEP_LEVELS

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEVER_MS = np.iinfo(np.int64).max
_STEP_COLUMNS = [(STEP_FEATURES.index(a), STEP_FEATURES.index(b)) for a, b in STEP_LEVELS.items()]


@dataclass(frozen=True, slots=True)
class PrefixSet:
    """Cases: the first `length` actions of a session each.

    `steps` (N, F) and `ids` (N, 3) have one row per event and are shared between the parts of a split; prices
    in them are logarithms. All else has one entry per case: the rows of its last `MAX_STEPS` actions are
    `first_row` to `last_row`, both included; `level` is the shop's price level before it (NaN: unknown);
    `target` indexes `TARGETS`; `buys_ms` is the first purchase in the rest of the session (`NEVER_MS`: there
    is none); `start_ms` is of the session's first action, `at_ms` of the case's last, `next_ms` of the one
    that follows (`at_ms` if none does).
    """

    steps: Floats
    ids: Ints
    first_row: Ints
    last_row: Ints
    context: Floats
    level: Floats
    target: Ints
    buys_ms: Ints
    session: Ints
    start_ms: Ints
    at_ms: Ints
    next_ms: Ints
    length: Ints
    idle_ms: int

    def __len__(self) -> int:
        return len(self.target)

    @property
    def will_buy(self) -> Bools:
        """Whether the rest of the session holds a purchase."""
        return np.asarray(self.buys_ms < NEVER_MS)

    def select(self, cases: Ints | Bools | slice) -> "PrefixSet":
        """These cases only."""
        shared = ("steps", "ids", "idle_ms")
        return replace(
            self, **{f.name: getattr(self, f.name)[cases] for f in fields(self) if f.name not in shared}
        )

    def split(self, train_until_ms: int, valid_until_ms: int) -> tuple["PrefixSet", "PrefixSet", "PrefixSet"]:
        """Train, valid and test by start of the session.

        Train and valid know nothing of what happens after their end: a case whose next action lies beyond is
        left out, and a purchase beyond has not happened.
        """
        train = self.start_ms < train_until_ms
        test = self.start_ms >= valid_until_ms
        return (
            _known_until(self.select(train), train_until_ms),
            _known_until(self.select(~train & ~test), valid_until_ms),
            self.select(test),
        )

    def boundaries(self, *shares: float) -> tuple[int, ...]:
        """The times (ms) before which these shares of all sessions started."""
        return boundaries(self.start_ms[self.length == 1], shares)

    def batch(self, cases: Ints | slice) -> Batch:
        """The inputs of a model for these cases."""
        first, last, level = self.first_row[cases], self.last_row[cases], self.level[cases]
        lengths = last - first + 1
        at = np.arange(lengths.max(initial=1))
        filled = at < lengths[:, None]
        steps = self.steps[np.minimum(first[:, None] + at, last[:, None])]
        steps[~filled] = 0.0
        take_off(steps, level[:, None], _STEP_COLUMNS)
        return steps, lengths, self.context[cases]

    def last_steps(self) -> Floats:
        """The last step of every case, (n, features)."""
        rows = self.steps[self.last_row]
        take_off(rows, self.level, _STEP_COLUMNS)
        return rows

    def inputs(self, cases: Ints | slice, *, with_ids: bool) -> Inputs:
        """`batch`, and `batch_ids` for a model that reads them."""
        return *self.batch(cases), self.batch_ids(cases) if with_ids else None

    def batch_ids(self, cases: Ints | slice) -> Ints:
        """Hashed product, category and brand of the steps of `batch`, (batch, time, 3); 0: none."""
        first, last = self.first_row[cases, None], self.last_row[cases, None]
        at = first + np.arange((last - first).max(initial=0) + 1)
        ids = self.ids[np.minimum(at, last)]
        ids[at > last] = 0
        return ids


def _known_until(cases: PrefixSet, until_ms: int) -> PrefixSet:
    known = cases.select(cases.next_ms < until_ms)
    return replace(known, buys_ms=np.where(known.buys_ms < until_ms, known.buys_ms, NEVER_MS))


def concatenate(sets: Sequence[PrefixSet]) -> PrefixSet:
    """The cases of several shops as one set; sessions are numbered on."""
    rows = np.cumsum([0, *(len(one.steps) for one in sets)])
    sessions = np.cumsum([0, *(int(one.session.max(initial=-1)) + 1 for one in sets)])
    moved = [
        replace(one, first_row=one.first_row + row, last_row=one.last_row + row, session=one.session + number)
        for one, row, number in zip(sets, rows[:-1], sessions[:-1], strict=True)
    ]
    names = [f.name for f in fields(PrefixSet) if f.name != "idle_ms"]
    joined = {name: np.concatenate([getattr(one, name) for one in moved]) for name in names}
    return PrefixSet(**joined, idle_ms=sets[0].idle_ms)


def take_off(rows: Floats, level: Floats, columns: Sequence[tuple[int, int]]) -> None:
    """Make logarithms of prices relative to `level` (NaN: unknown), in place.

    `columns` are pairs: the column of the number, and of the flag that says whether there is one.
    """
    known = np.isfinite(level)
    shift = np.where(known, level, 0.0)
    for column, flag in columns:
        there = (rows[..., flag] > 0) & known
        rows[..., column] = np.where(there, rows[..., column] - shift, 0.0)
