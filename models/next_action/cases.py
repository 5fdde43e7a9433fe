"""Every prefix of every session: the cases that models learn from and are measured on."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from models.evaluation.splits import boundaries
from models.next_action.encoding import Batch, Inputs
from models.next_action.features import STEP_FEATURES, STEP_LEVELS
from models.sufficiency import require_data

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HOLE_MS = 86_400_000
"""Nobody watched a shop in which nothing happens for so long: the data have a border there."""
_STEP_COLUMNS = [(STEP_FEATURES.index(a), STEP_FEATURES.index(b)) for a, b in STEP_LEVELS.items()]


@dataclass(frozen=True, slots=True)
class PrefixSet:
    """Cases: the first `length` actions of a session each.

    `steps` (N, F) and `ids` (N, 3) have one row per event and are shared between the parts of a split; prices
    in them are logarithms. All else has one entry per case: the rows of its last `MAX_STEPS` actions are
    `first_row` to `last_row`, both included; `rates` (N, 6) are `RATE_FEATURES`; `level` is the shop's price
    level before it (NaN: unknown); `target` indexes `TARGETS`; `will_buy` says whether a purchase follows in
    the session. These two are of the actions that the data hold, and answers only where `known` says so.
    `start_ms` is of the session's first action, `end_ms` of its last, `at_ms` of the case's last; the data go
    on until `watched_ms`.
    """

    steps: Floats
    ids: Ints
    first_row: Ints
    last_row: Ints
    context: Floats
    rates: Floats
    level: Floats
    target: Ints
    will_buy: Bools
    session: Ints
    start_ms: Ints
    end_ms: Ints
    at_ms: Ints
    watched_ms: Ints
    length: Ints
    idle_ms: int

    def __len__(self) -> int:
        return len(self.target)

    def known(self, until_ms: int | None = None) -> Bools:
        """Which cases have their answers: those of sessions that are over for sure.

        A session is over when nothing has followed its last action for longer than the session gap, before
        the data end and, if given, before `until_ms`. All cases of any other session have none, whatever was
        seen of it: what comes soon would else be known more often than a purchase, and a purchase more often
        than a leave.
        """
        until = self.watched_ms if until_ms is None else np.minimum(self.watched_ms, until_ms)
        return np.asarray(self.end_ms + self.idle_ms < until)

    def select(self, cases: Ints | Bools | slice) -> "PrefixSet":
        """These cases only."""
        shared = ("steps", "ids", "idle_ms")
        return replace(
            self, **{f.name: getattr(self, f.name)[cases] for f in fields(self) if f.name not in shared}
        )

    def split(self, train_until_ms: int, valid_until_ms: int) -> tuple["PrefixSet", "PrefixSet", "PrefixSet"]:
        """Train, valid and test by start of the session, of the cases that are known.

        Train and valid know nothing of what happens after their end.
        """
        in_train, in_test = self.start_ms < train_until_ms, self.start_ms >= valid_until_ms
        return (
            self.select(in_train & self.known(train_until_ms)),
            self.select(~in_train & ~in_test & self.known(valid_until_ms)),
            self.select(in_test & self.known()),
        )

    def with_rates(self, wanted: bool = True) -> "PrefixSet":
        """The same cases with the rates of items at the end of the context, if they are `wanted`."""
        if not wanted:
            return self
        return replace(self, context=np.concatenate([self.context, self.rates], axis=1))

    def require_data(self, part: str) -> None:
        """Raises `NotEnoughData` where this part of a split is too small; `part` is its name."""
        buying = len(np.unique(self.session[self.will_buy]))
        require_data(part, sessions=len(np.unique(self.session)), buying=buying)

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
