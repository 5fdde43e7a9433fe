"""What is learnt from and what is measured: folds of users, or a cut in time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from models.next_basket.baskets import Baskets, Cases, Ints, require_times
from models.next_basket.model import Examples, Training

_TUNED_ON = 0.1
"""Share of the other folds' users on whom settings are chosen."""
_EXAMPLES_PER_USER = 4
"""Newest baskets of a user before a cut that are learnt from as cases."""


class Part(NamedTuple):
    """Something to learn from, and cases that it does not hold."""

    training: Training
    cases: Cases


class Round(NamedTuple):
    """One measurement; settings are chosen on `tuning`, whose cases come before or beside those of `test`."""

    test: Part
    tuning: Part


def split_by_user(histories: Baskets, futures: Baskets, *, folds: int, seed: int) -> Iterator[Round]:
    """The folds of Li et al. (2023): models learn from the users of the other folds.

    `futures` holds one basket of each user in `histories`. The others' future baskets are examples only: they
    were bought at the same time as those to predict, so counts of them would tell what was popular then.
    """
    cases = Cases(histories, futures)
    fold = np.random.default_rng(seed).permutation(histories.n_users) % folds
    for number in range(folds):
        others = np.random.default_rng(seed + number + 1).permutation(np.flatnonzero(fold != number))
        held = round(_TUNED_ON * len(others))
        yield Round(
            test=Part(
                _training_of(cases.of_users(np.sort(others))), cases.of_users(np.flatnonzero(fold == number))
            ),
            tuning=Part(
                _training_of(cases.of_users(np.sort(others[held:]))), cases.of_users(np.sort(others[:held]))
            ),
        )


def split_by_time(baskets: Baskets, *, cut: float, until: float, least: int) -> Round:
    """A cut at a time in days: models learn from what was bought before it.

    Cases are each user's last basket from the cut on and before `until`, after `least` baskets or more; a
    user's own baskets between the cut and the case are part of the history. Settings are chosen in the same
    way on the time before, of equal length. Raises `ValueError` where there is nothing on one side.
    """
    span = until - cut
    baskets = baskets.before(until)
    return Round(
        test=Part(training_before(baskets, cut, span), last_cases(baskets, cut, least)),
        tuning=Part(
            training_before(baskets.before(cut), cut - span, span),
            last_cases(baskets.before(cut), cut - span, least),
        ),
    )


def training_before(baskets: Baskets, cut: float, span: float) -> Training:
    """What is known before a cut; the examples, known as before it, are of its last `span` days."""
    known = baskets.before(cut)
    earlier = known.before(cut - span)
    newest = np.flatnonzero(
        (require_times(known) >= cut - span) & (known.positions() > 0) & (known.ages() < _EXAMPLES_PER_USER)
    )
    return Training(known, [Examples(earlier, known.cases(newest))])


def last_cases(baskets: Baskets, cut: float, least: int) -> Cases:
    """Each user's last basket, if it is of the cut or later and `least` others came before it."""
    last = (baskets.ages() == 0) & (require_times(baskets) >= cut) & (baskets.positions() >= least)
    chosen: Ints = np.flatnonzero(last)
    if not len(chosen):
        raise ValueError(f"no user has a basket from the cut on and {least} or more before it")
    return baskets.cases(chosen)


def _training_of(cases: Cases) -> Training:
    return Training(cases.histories, [Examples(cases.histories, cases)])
