"""The members: what each says of some records, given what was learnt."""

from typing import NamedTuple

import numpy as np

from contracts.scores import SCALE
from models.online.records import Floats, Records, aggregates_in
from models.online.sums import INPUTS, MEMBERS, OUTPUTS, Sums
from models.online.tables import Ints, follow, rows_of

PRIOR = np.array([2.0, 0.5, 0.1, 0.1, 2.0, 3.8, 0.2])
"""Counts of `rates` before anything is known."""
FLOOR = 1.0 / SCALE
MOST = 4.0
"""Larger aggregates are taken for this: what grows without end says nothing new, and misleads a line."""
_AGGREGATE_WEIGHT, _MODEL_WEIGHT = 0.5, 0.3
"""Inputs of the regression are made smaller, so that one step of all of them is not too long."""


class Cases(NamedTuple):
    """Records as numbers: `logits` of what the model said (n, 6), rows of the tables of `actions` (n, 3) and
    `paces` (n, 4), `inputs` of the regression (n, INPUTS), and what each counts for."""

    logits: Floats
    actions: Ints
    paces: Ints
    inputs: Floats
    weights: Floats


class Opinions(NamedTuple):
    """`members` (members, n, 6): probabilities of the five next actions and of a purchase."""

    members: Floats
    mixed: Floats


def cases_of(records: Records) -> Cases:
    """The records as numbers."""
    logits = logits_in(records)
    actions, paces = rows_of(records)
    weights = np.maximum(records["weight"], 1).astype(np.float64)
    return Cases(logits, actions, paces, inputs_of(logits, aggregates_in(records)), weights)


def logits_in(records: Records) -> Floats:
    """Logits of what the model said (n, 6)."""
    return to_logits(records["probabilities"] * (1.0 / SCALE))


def inputs_of(logits: Floats, aggregates: Floats) -> Floats:
    """The inputs of the regression (n, INPUTS)."""
    inputs = np.empty((len(logits), INPUTS))
    inputs[:, 0] = 1.0
    inputs[:, 1:-OUTPUTS] = np.minimum(aggregates, MOST) * _AGGREGATE_WEIGHT
    inputs[:, -OUTPUTS:] = logits * _MODEL_WEIGHT
    return inputs


def ask_members(sums: Sums, cases: Cases) -> Opinions:
    """What the members say, and their mixture."""
    n = len(cases.logits)
    members = np.empty((len(MEMBERS), n, OUTPUTS))
    members[0] = rates = base_rates(sums)
    members[1] = to_probabilities(cases.logits)
    members[2] = to_probabilities(stretch(sums, cases.logits))
    members[3] = follow(sums.tables, cases.actions, rates)
    members[4] = follow(sums.tables, cases.paces, rates)
    members[5] = to_probabilities(regress(sums, cases, members[3], members[4]))
    return Opinions(members, mix(sums, members))


def base_rates(sums: Sums) -> Floats:
    """How often each next action, and a purchase, comes (6,)."""
    counts = sums.rates + PRIOR
    return np.append(counts[:5] / counts[:5].sum(), counts[6] / counts[5:].sum())


def stretch(sums: Sums, logits: Floats) -> Floats:
    """Logits of the model, each output stretched and shifted (vector scaling, Guo et al. 2017).

    At first they are as they were.
    """
    return np.asarray(logits * (1.0 + sums.scale[0]) + sums.scale[1])


def regress(sums: Sums, cases: Cases, after_actions: Floats, at_pace: Floats) -> Floats:
    """Logits of the regression, which starts half way between what the tables say."""
    start = 0.5 * (to_logits(after_actions) + to_logits(at_pace))
    return np.asarray(start + cases.inputs @ sums.weights)


def mix(sums: Sums, members: Floats) -> Floats:
    """The members' probabilities, by weights that fall with their discounted losses."""
    weights = mixing_weights(sums)
    mixed: Floats = np.einsum("m,mno->no", weights[:, 0], members)
    mixed[:, 5] = weights[:, 1] @ members[:, :, 5]
    return mixed


def mixing_weights(sums: Sums) -> Floats:
    """A weight per member and task (members, 2), exponential in the discounted log losses.

    With such weights the mixture's discounted loss is at most log(members) above that of the best member
    (Chernov and Zhdanov, Prediction with Expert Advice under Discounted Loss, 2010).
    """
    losses = sums.losses[: len(MEMBERS)]
    weights = np.exp(losses.min(0) - losses)
    return np.asarray(weights / weights.sum(0))


def to_probabilities(logits: Floats) -> Floats:
    """Softmax of the first five, the logistic function of the last."""
    raised = np.exp(logits - logits[:, :5].max(1, keepdims=True))
    said = raised / raised[:, :5].sum(1, keepdims=True)
    said[:, 5] = 1.0 / (1.0 + np.exp(-np.clip(logits[:, 5], -30.0, 30.0)))
    return np.asarray(said)


def to_logits(said: Floats) -> Floats:
    """The inverse of `to_probabilities`, up to a constant."""
    kept = np.maximum(said, FLOOR)
    logits: Floats = np.log(kept)
    logits[:, 5] -= np.log(np.maximum(1.0 - kept[:, 5], FLOOR))
    return logits
