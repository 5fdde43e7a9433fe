"""The two sides of a comparison: sessions to learn from, and later cases, in the codes of the first."""

from typing import NamedTuple

import numpy as np

from models.next_item.cases import Cases, Ints, cases_of, collapse_cases, take_out_unknown
from models.next_item.sessions import Sessions, code_catalogue, collapse_repeats, split_by_time


class EvaluationProtocol(NamedTuple):
    """How cases are made and ranked."""

    collapse_repeats: bool = False
    """Items that repeat the one before are taken out, and the latest item of a prefix is no answer."""
    min_prefix: int = 1
    """Shorter prefixes are not asked."""
    held_back: float = 0.1
    """Share of the sessions, the latest ones, to measure on where no test data are given, and to tune on."""
    known_items_only: bool = False
    """Items that training lacks are taken out of the sessions to measure on: else such a target is a miss."""


class Data(NamedTuple):
    """`train`: all its items occur in it; `cases`: later, in the same codes."""

    train: Sessions
    cases: Cases
    protocol: EvaluationProtocol
    taken_out: int = 0
    """Cases that there are not as items that training lacks were taken out."""

    @property
    def counts(self) -> Ints:
        """(n_items,): how often training has each item."""
        return np.bincount(self.train.items, minlength=self.train.n_items)


def hold_back(sessions: Sessions, protocol: EvaluationProtocol) -> Data:
    """The latest sessions as cases, the others to learn from.

    Raises `ValueError` if that leaves no session or no case.
    """
    train, later = split_by_time(sessions, protocol.held_back)
    return with_test(train, cases_of(later), protocol)


def with_test(train: Sessions, cases: Cases, protocol: EvaluationProtocol) -> Data:
    """Sessions to learn from and cases of the same codes; raises `ValueError` if there is no case."""
    n_before = len(cases)
    if protocol.known_items_only:
        cases = take_out_unknown(cases, np.bincount(train.items, minlength=train.n_items) > 0)
    taken_out = n_before - len(cases)
    if protocol.collapse_repeats:
        train, cases = collapse_repeats(train), collapse_cases(cases)
    cases = cases.take(cases.lengths >= protocol.min_prefix)
    if not len(cases) or not len(train.items):
        raise ValueError(
            f"there must be items to learn from and prefixes of {protocol.min_prefix} items or more to ask, "
            f"got {len(train.items)} items and {len(cases)} prefixes"
        )
    train, code_of = code_catalogue(train)
    return Data(train, cases.recoded(code_of), protocol, taken_out)
