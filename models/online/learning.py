"""One step of learning: records whose answers are known are judged by what was known before, then learnt."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.online.members import FLOOR, Cases, ask_members, cases_of
from models.online.records import Records
from models.online.sums import MEMBERS, OUTPUTS, Floats, Sums, sums_in

UNKNOWN = -1
AT_ONCE = 16
"""Records in one step of descent."""
STEP, SCALE_STEP = 0.015, 0.05
"""Lengths of steps of the regression and of the calibration, which AdaGrad (Duchi et al. 2011) divides."""
MEMORY = 30_000
"""About how many answers counts and gradients look back over, in the whole shop."""
LOSS_MEMORY = 2_000
"""The same of the losses that members are weighed by."""

_CALIBRATED, _REGRESSION = MEMBERS.index("calibrated"), MEMBERS.index("regression")


class Answers(NamedTuple):
    """What came: the place of the next action in `TARGETS`, and 1 or 0 for a purchase later; UNKNOWN of each
    that is not known."""

    targets: npt.NDArray[np.int64]
    buys: npt.NDArray[np.int64]


class Descent(NamedTuple):
    """Weights that descend, the sums of their squared gradients, and those of the whole shop."""

    weights: Floats
    squares: Floats
    known: Floats
    step: float


def learn(
    vector: Floats, others: Floats, records: Records, answers: Answers, *, partitions: int = 1
) -> Floats:
    """The partition's vector after some answers; `others` is the sum of those of all other partitions.

    Predictions and the lengths of steps are those of the whole shop, the changes are the partition's own.
    Each of `partitions` forgets as if the others' answers had come in equal number.
    """
    mine = vector.copy()
    for at in range(0, len(records), AT_ONCE):
        now = slice(at, at + AT_ONCE)
        _step(mine, others, records[now], Answers(answers.targets[now], answers.buys[now]), partitions)
    return mine


def _step(mine: Floats, others: Floats, records: Records, answers: Answers, partitions: int) -> None:
    cases = cases_of(records)
    own, shop = sums_in(mine), sums_in(mine + others)
    happened, counted = _as_numbers(answers, cases.weights)
    _forget(own, len(records) * partitions)
    said = ask_members(shop, cases)
    _judge(own, np.concatenate([said.members, said.mixed[None]]), happened, counted)
    errors = (said.members[_REGRESSION] - happened) * counted
    weights = Descent(own.weights, own.weights_sq, shop.weights_sq, STEP)
    _descend(weights, cases.inputs.T @ errors, (cases.inputs**2).T @ errors**2)
    errors = (said.members[_CALIBRATED] - happened) * counted
    both = np.stack([cases.logits * errors, errors])
    _descend(Descent(own.scale, own.scale_sq, shop.scale_sq, SCALE_STEP), both.sum(1), (both**2).sum(1))
    _count(own, cases, happened, counted)


def _as_numbers(answers: Answers, weights: Floats) -> tuple[Floats, Floats]:
    """What happened as 0 and 1 (n, 6), and what each counts for (n, 6): 0 where it is not known."""
    n = len(answers.targets)
    happened, counted = np.zeros((n, OUTPUTS)), np.empty((n, OUTPUTS))
    happened[np.arange(n), np.maximum(answers.targets, 0)] = 1.0
    happened[:, 5] = answers.buys == 1
    counted[:, :5] = np.where(answers.targets == UNKNOWN, 0.0, weights)[:, None]
    counted[:, 5] = np.where(answers.buys == UNKNOWN, 0.0, weights)
    return happened, counted


def _forget(own: Sums, answers: int) -> None:
    kept = (1.0 - 1.0 / MEMORY) ** answers
    for part in (own.rates, own.tables, own.weights_sq, own.scale_sq):
        part *= kept
    kept = (1.0 - 1.0 / LOSS_MEMORY) ** answers
    for part in (own.losses, own.judged):
        part *= kept


def _judge(own: Sums, said: Floats, happened: Floats, counted: Floats) -> None:
    given = (said[:, :, :5] * happened[:, :5]).sum(2)
    bought = np.where(happened[:, 5] > 0, said[:, :, 5], 1.0 - said[:, :, 5])
    losses = np.stack([-np.log(np.maximum(given, FLOOR)) @ counted[:, 0],
                       -np.log(np.maximum(bought, FLOOR)) @ counted[:, 5]], 1)  # fmt: skip
    judged = counted[:, [0, 5]].sum(0)
    for part in (own.losses, own.total_losses):
        part += losses
    for part in (own.judged, own.total_judged):
        part += judged


def _descend(part: Descent, gradient: Floats, squared: Floats) -> None:
    """One step of AdaGrad, as long as what the whole shop has seen allows."""
    part.squares[:] += squared
    part.weights[:] -= part.step * gradient / np.sqrt(1.0 + part.known + squared)


def _count(own: Sums, cases: Cases, happened: Floats, counted: Floats) -> None:
    came = happened * counted
    rows = np.concatenate([came[:, :5], (counted[:, 5] - came[:, 5])[:, None], came[:, 5:]], 1)
    np.add(own.rates, rows.sum(0), out=own.rates)
    # The first depth of both tables is the same.
    for places in (*cases.actions.T, *cases.paces[:, 1:].T):
        np.add.at(own.tables, places, rows)
