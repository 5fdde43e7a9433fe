"""A shop's past in order of time: every prediction is made with what was known, judged, and learnt later."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet
from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES
from models.online.learning import Answers, learn
from models.online.members import ask_members, cases_of
from models.online.publishing import Source, published, source_of
from models.online.records import NO_ACTION, RECORD, Records, chain_of, fill_records
from models.online.sums import TASKS, Floats, nothing_learnt, sums_in

ROUND_MS = 60_000
"""What is predicted within one such span knows what was learnt before it."""
_PURCHASE = TASKS.index("purchase")
_SAME = STEP_FEATURES.index("same_product")
_NUMBER = CONTEXT_FEATURES.index("session_number_log")
_PURCHASES = CONTEXT_FEATURES.index("n_purchases_log")

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Replayed(NamedTuple):
    """The predictions in order of time.

    `members` (members, n, 6) and `published` (n, 6) as in `models.online.sums.MEMBERS`; `targets` index
    `TARGETS`, `buys` says whether a purchase follows in the session, `is_proven` whether the published
    purchase probability beat the base rates; `next_known` and `purchase_known` mark
    the predictions whose answer the data hold.
    """

    at_ms: Ints
    members: Floats
    published: Floats
    targets: Ints
    buys: Bools
    next_known: Bools
    purchase_known: Bools
    is_proven: Bools


class History(NamedTuple):
    """Predictions of a model in order of time, with answers, and the time at which each answer is learnt."""

    at_ms: Ints
    learnt_ms: Ints
    records: Records
    answers: Answers
    visitor: Ints
    next_known: Bools
    purchase_known: Bools


def history_of(
    cases: PrefixSet, probabilities: npt.NDArray[np.float32], purchase: npt.NDArray[np.float32]
) -> History:
    """What a model said of these cases: all prefixes of all sessions, visitor by visitor.

    An answer is learnt when the session gap has passed after the session's last action. A next action is
    judged where the data go on for so long after the case, whatever it was, and a purchase where they do
    after the session.
    """
    order = np.argsort(cases.at_ms, kind="stable")
    ended_ms = cases.end_ms + cases.idle_ms
    visitor = np.cumsum((cases.length == 1) & (cases.context[:, _NUMBER] < 0.7)) - 1
    records = np.zeros(len(cases), dtype=RECORD)
    records["actions"] = np.minimum(cases.length, 65_535)
    records["bought"] = np.minimum(np.rint(np.expm1(cases.context[:, _PURCHASES])), 255)
    records["chain"] = _chains(cases)
    fill_records(records, cases.context, probabilities, purchase)
    return History(
        cases.at_ms[order],
        ended_ms[order],
        records[order],
        Answers(cases.target[order], cases.will_buy[order].astype(np.int64)),
        visitor[order],
        (cases.at_ms + cases.idle_ms < cases.watched_ms)[order],
        cases.known()[order],
    )


def replay(history: History, *, partitions: int = 1, is_shared: bool = True) -> Replayed:
    """Predict and learn in order of time; visitors are spread over `partitions`.

    Without `is_shared` a partition knows nothing of the others.
    """
    mine = np.stack([nothing_learnt() for _ in range(partitions)])
    place = history.visitor % partitions
    made = []
    for learnt, asked in _rounds(history):
        for p in range(partitions):
            due = learnt[place[learnt] == p]
            if len(due):
                others = mine.sum(0) - mine[p] if is_shared else nothing_learnt()
                answers = Answers(history.answers.targets[due], history.answers.buys[due])
                forgetting = partitions if is_shared else 1
                mine[p] = learn(mine[p], others, history.records[due], answers, partitions=forgetting)
        made.append(_predict(history, asked, place[asked], mine, is_shared))
    members, said, proven, where = zip(*made, strict=True)
    back = np.argsort(np.concatenate(where), kind="stable")
    return Replayed(
        history.at_ms,
        np.concatenate(members, 1)[:, back],
        np.concatenate(said)[back],
        history.answers.targets,
        history.answers.buys > 0,
        history.next_known,
        history.purchase_known,
        np.concatenate(proven)[back],
    )


def _predict(
    history: History, asked: Ints, place: Ints, mine: Floats, is_shared: bool
) -> tuple[Floats, Floats, Bools, Ints]:
    groups = [asked] if is_shared else [asked[place == p] for p in range(len(mine))]
    sums = [mine.sum(0)] if is_shared else list(mine)
    members, said, proven = [], [], []
    for group, vector in zip(groups, sums, strict=True):
        opinions = ask_members(sums_in(vector), cases_of(history.records[group]))
        members.append(opinions.members)
        said.append(published(sums_in(vector), opinions))
        proven.append(np.full(len(group), source_of(sums_in(vector), _PURCHASE) is Source.MIXTURE))
    return np.concatenate(members, 1), np.concatenate(said), np.concatenate(proven), np.concatenate(groups)


def _rounds(history: History) -> Iterator[tuple[Ints, Ints]]:
    """What is learnt and then asked, span by span."""
    first_ms = history.at_ms[0]
    asked_in = (history.at_ms - first_ms) // ROUND_MS
    learnt_from = -((first_ms - history.learnt_ms) // ROUND_MS)
    is_known = history.next_known & history.purchase_known
    waiting = np.flatnonzero(is_known)[np.argsort(learnt_from[is_known], kind="stable")]
    due = learnt_from[waiting]
    starts = np.flatnonzero(np.diff(asked_in, prepend=-1))
    done = 0
    for start, end in zip(starts, np.append(starts[1:], len(asked_in)), strict=True):
        until = int(np.searchsorted(due, asked_in[start], side="right"))
        yield waiting[done:until], np.arange(start, end)
        done = until


def _chains(cases: PrefixSet) -> Ints:
    """`models.online.records.chain_of` of every case at once."""
    kinds = cases.steps[:, :5].argmax(1)
    same = (cases.steps[:, _SAME] > 0).astype(np.int64)
    row, length = cases.last_row, cases.length

    def earlier(values: Ints, steps: int, absent: int) -> Ints:
        return np.where(length > steps, values[np.maximum(row - steps, 0)], absent)

    return chain_of(
        [kinds[row], earlier(kinds, 1, NO_ACTION), earlier(kinds, 2, NO_ACTION)],
        [same[row], earlier(same, 1, 0)],
    )
