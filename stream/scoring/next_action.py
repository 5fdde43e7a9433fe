"""The slot of the next-action model: every visitor who acted is asked about, and alerts follow from it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.heartbeat import NEXT_ACTION
from contracts.scores import SCALE, Score
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.source import ModelSource
from models.next_action.encoding import Encoded, encode_visitor, stack, stack_ids
from models.next_action.model import Model
from models.next_action.source import next_action_folder
from models.online.kept import keep
from models.online.records import make_records, split_records
from stream.alerts.registry import AlertRules
from stream.batch.result import BatchResult
from stream.batch.step import take_scores
from stream.scoring.learner import Learner
from stream.scoring.next_action_comparison import ComparedBySession
from stream.scoring.sampler import Sampler
from stream.scoring.slots import AskedVisitor, ModelSlot

CALLS = 8
FEWEST_VISITORS, MOST_VISITORS = 32, 128
"""Visitors in one call: about an eighth of all, within these bounds.

They are padded to the longest session among them, so small calls of like length cost half of one large call;
and while the model works on one, the event loop encodes the next.
"""


MOST_KEPT_PER_S = 200
"""Predictions of a second of event time that a worker keeps to learn from, about; beyond, those of a share of
the visitors."""


class ScoredVisitor(NamedTuple):
    """A score, and the record (`models.online.records`) that is learnt from once its answer is known."""

    score: Score
    record: bytes


class NextActionSlot(ModelSlot[Model, Encoded, ScoredVisitor]):
    """Its scores are judged with the batch step (`stream.scoring.prequential`), as alerts depend on them."""

    name = NEXT_ACTION

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.learner = Learner(self.name, settings.partitions) if settings.learning else None
        self.companions = () if self.learner is None else (self.learner,)
        self._sampler = Sampler(MOST_KEPT_PER_S)

    @cached_property
    def _rules(self) -> AlertRules:
        """Read when it is needed first: extensions register theirs after the slot was made."""
        return AlertRules.of(self._settings)

    def source(self, settings: Settings) -> ModelSource[Model]:
        """The folder in the settings, or the model that is shipped."""
        return next_action_folder(settings.model_dir)

    def comparison(self) -> ComparedBySession:
        """By session: the same answers as are learnt from."""
        return ComparedBySession()

    def plan(self, visitors: Sequence[Visitor]) -> list[list[int]]:
        """Those of like length together, shortest first."""
        order = sorted(range(len(visitors)), key=lambda place: sum(visitors[place].head.counts))
        most = min(max(len(order) // CALLS, FEWEST_VISITORS), MOST_VISITORS)
        size = ceil(len(order) / max(1, ceil(len(order) / most)))  # as many calls, of about the same size
        return [order[at : at + size] for at in range(0, len(order), max(1, size))]

    def encode(self, subject: AskedVisitor) -> Encoded:
        """The visitor's steps and aggregates."""
        return encode_visitor(subject.visitor, subject.level, self._settings.idle_ms)

    def ask(
        self, model: Model, visitors: Sequence[Visitor], inputs: Sequence[Encoded]
    ) -> list[ScoredVisitor]:
        """One call: the scores of these visitors in their order, rounded as `contracts.scores` keeps them.

        Raises `ArithmeticError` if the model gives a number that is none, and whatever the model raises.
        """
        batch = stack(inputs)
        ids = (
            stack_ids([visitor.tail.actions() for visitor in visitors], batch[1]) if model.reads_ids else None
        )
        probabilities, purchase = model.predict(*batch, ids)
        if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
            raise ArithmeticError("the model gave a number that is none")
        version = model.version
        records = [b""] * len(visitors)
        if self.learner is not None:
            made = make_records(batch, probabilities, purchase)
            records = split_records(made)
            learnt_of, publisher = self.learner.pooled
            if learnt_of == version:
                probabilities, purchase = publisher.improve(made, probabilities, purchase)
        rows = zip(
            visitors, _round(probabilities), _round(purchase), model.reasons(batch[2]), records, strict=True
        )
        return [
            ScoredVisitor(Score(
                version, visitor.head.last_ms, sum(visitor.head.counts), visitor.head.number, tuple(row),
                chance, tuple([(code, round(effect * SCALE) / SCALE) for code, effect in why]),
            ), record)
            for visitor, row, chance, why, record in rows
        ]  # fmt: skip

    def take(self, result: BatchResult, answers: Mapping[str, ScoredVisitor]) -> None:
        """Decide on alerts, and keep what will be judged and learnt from."""
        asked = sum(self.select(visitor) for visitor in result.visitors.values())
        result.count("scored", len(answers))
        result.count("skipped", asked - len(answers))
        if self.learner is not None:
            self._keep(result, answers)
        take_scores(result, {user_id: answer.score for user_id, answer in answers.items()}, self._rules)

    def _keep(self, result: BatchResult, answers: Mapping[str, ScoredVisitor]) -> None:
        self._sampler.see(len(answers), result.clock.max_event_ms)
        for user_id, (score, record) in answers.items():
            if not self._sampler.chooses(user_id):
                continue
            visitor = result.visitors[user_id]
            known = self.kept(visitor)
            kept = keep(known, visitor, score.version, record)
            if kept is not known:
                result.visitors[user_id] = self.with_kept(visitor, kept)


def _round(values: npt.NDArray[Any]) -> list[Any]:
    """What `contracts.scores.round_score` makes of each, all at once."""
    rounded: list[Any] = (np.rint(values.astype(np.float64) * SCALE) / SCALE).tolist()
    return rounded
