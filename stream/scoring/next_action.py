"""The slot of the next-action model: every visitor who acted is asked about, and alerts follow from it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from contracts.heartbeat import NEXT_ACTION
from contracts.scores import SCALE, Score, score_of
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.source import ModelSource
from models.next_action.calls import predict_alike
from models.next_action.encoding import Batch, Encoded, encode_visitor, stack, stack_ids, with_rates
from models.next_action.model import Model
from models.next_action.rates import RATE_FEATURES
from models.next_action.source import next_action_folder
from models.online.kept import keep
from models.online.records import make_records, split_records
from stream.alerts.gate import Gate
from stream.alerts.registry import AlertRules
from stream.alerts.steps import has_intent
from stream.batch.core import choose_core
from stream.batch.result import BatchResult
from stream.components.items import PartitionItems
from stream.scoring.item_pool import ItemPool, rates_of_visitors
from stream.scoring.learner import Learner
from stream.scoring.next_action_comparison import ComparedBySession
from stream.scoring.sampler import Sampler
from stream.scoring.slots import AskedVisitor, ModelSlot, Worth

MOST_VISITORS = 256
"""Visitors handed to the model's thread at once: numpy is cheap for many, as long as the arrays keep to the
processor's cache."""
MOST_KEPT_PER_S = 200
"""Predictions of a second of event time that a worker keeps to learn from, about; beyond, those of a share of
the visitors."""
_MOST_NEWS = 1_000
_AGAIN_MS = 1_000


class ScoredVisitor(NamedTuple):
    """A score, and the record (`models.online.records`) that is learnt from once its answer is known."""

    score: Score
    record: bytes


class EncodedVisitors(Sequence[Encoded]):
    """Encoded visitors that lie in one batch, each with what its partition has counted of items."""

    def __init__(self, batch: Batch, items: Sequence[PartitionItems]) -> None:
        self.batch = batch
        self.items = items

    def __len__(self) -> int:
        return len(self.batch[1])

    @overload
    def __getitem__(self, place: int) -> Encoded: ...
    @overload
    def __getitem__(self, place: slice) -> list[Encoded]: ...
    def __getitem__(self, place: int | slice) -> Encoded | list[Encoded]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        steps, lengths, context = self.batch
        return [tuple(row) for row in steps[place, : lengths[place]].tolist()], tuple(context[place].tolist())


class NextActionSlot(ModelSlot[Model, Encoded, ScoredVisitor]):
    """Its scores are judged with the batch step (`stream.scoring.prequential`), as alerts depend on them."""

    name = NEXT_ACTION
    most_visitors = MOST_VISITORS

    def __init__(self, settings: Settings, gate: Gate | None = None) -> None:
        self._settings = settings
        self._gate = gate or Gate()
        self.learner = Learner(self.name, settings.partitions) if settings.learning else None
        self._core = choose_core(compiled=settings.compiled)
        self.pool = ItemPool(settings.partitions, self._core)
        self.companions = (self.pool,) if self.learner is None else (self.pool, self.learner)
        self._sampler = Sampler(MOST_KEPT_PER_S)

    @cached_property
    def _rules(self) -> AlertRules:
        """Read when it is needed first: extensions register theirs after the slot was made."""
        return AlertRules.of(self._settings, gate=self._gate)

    def source(self, settings: Settings) -> ModelSource[Model]:
        """The folder in the settings, or the model that is shipped."""
        return next_action_folder(settings.model_dir)

    def comparison(self) -> ComparedBySession:
        """By session: the same answers as are learnt from."""
        return ComparedBySession()

    def worth(self, visitor: Visitor) -> Worth:
        """Carts first, then intent, then whoever has done most since the last score.

        Last are those who were scored a moment ago: several actions within a second need one score.
        """
        head, (score, alert_state, _) = visitor.head, visitor.predictions
        news = sum(head.counts)
        is_intent, is_again = has_intent(alert_state), False
        if score is not None and score.session == head.number:
            news -= score.actions
            is_intent = is_intent or score.purchase >= self._settings.churn_intent
            is_again = head.last_ms - score.at_ms < _AGAIN_MS
        rank = min(news, _MOST_NEWS) / _MOST_NEWS - is_again
        if head.cart or alert_state.open:
            return Worth(4.0 + rank, "cart", waits=True)
        return Worth(2.0 + rank, "intent", waits=True) if is_intent else Worth(rank)

    def encode(self, subject: AskedVisitor) -> Encoded:
        """The visitor's steps and aggregates."""
        return encode_visitor(subject.visitor, subject.level, self._settings.idle_ms)

    def encode_all(self, subjects: Sequence[AskedVisitor]) -> "EncodedVisitors":
        """The same of many, in the compiled steps where they are there."""
        visitors, levels = [each.visitor for each in subjects], [each.level for each in subjects]
        batch = self._core.encode_visitors(visitors, levels, self._settings.idle_ms)
        return EncodedVisitors(batch, [each.items for each in subjects])

    def ask(
        self, model: Model, visitors: Sequence[Visitor], inputs: Sequence[Encoded]
    ) -> list[ScoredVisitor]:
        """The scores of these visitors in their order, rounded as `contracts.scores` keeps them.

        Raises `ArithmeticError` if the model gives a number that is none, and whatever the model raises.
        """
        if isinstance(inputs, EncodedVisitors):
            batch, items = inputs.batch, inputs.items
        else:
            batch, items = stack(inputs), ()
        if model.reads_rates:
            batch = with_rates(batch, self._rates_of(visitors, items))
        ids = (
            stack_ids([visitor.tail.actions() for visitor in visitors], batch[1]) if model.reads_ids else None
        )
        probabilities, purchase = predict_alike(model, batch, ids)
        if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
            raise ArithmeticError("the model returned a value that is not a number")
        version = model.version
        records = [b""] * len(visitors)
        if self.learner is not None:
            made = make_records(batch, probabilities, purchase)
            records = split_records(made)
            learnt_of, publisher = self.learner.pooled
            if learnt_of == version:
                probabilities, purchase = publisher.improve(made, probabilities, purchase)
        heads = [visitor.head for visitor in visitors]
        answers = zip(heads, _round(probabilities), _round(purchase), model.reasons(batch[2]), strict=True)
        scores = [
            score_of((
                version, head.last_ms, sum(head.counts), head.number, tuple(row), chance,
                tuple(map(tuple, why)),
            ))
            for head, row, chance, why in answers
        ]  # fmt: skip
        return [*map(ScoredVisitor, scores, records)]

    def take(self, result: BatchResult, answers: Mapping[str, ScoredVisitor]) -> None:
        """Decide on alerts, and keep what will be judged and learnt from."""
        asked = sum([
            self.select(visitor)
            for user_id, visitor in result.visitors.items()
            if user_id not in result.waited
        ])  # fmt: skip
        result.count("scored", len(answers))
        # Who waited was counted as skipped by an earlier batch, and is not any more.
        result.count("skipped", asked - len(answers))
        if self.learner is not None:
            self._gate.is_proven = self.learner.pooled[1].is_proven
            self._keep(result, answers)
        scores = {user_id: answer.score for user_id, answer in answers.items()}
        self._core.take_scores(result, scores, self._rules)

    def _rates_of(
        self, visitors: Sequence[Visitor], items: Sequence[PartitionItems]
    ) -> npt.NDArray[np.float32]:
        """`RATE_FEATURES` of visitors (n, 6); 0, as for unknown items, without `items`."""
        if not items:
            return np.zeros((len(visitors), len(RATE_FEATURES)), dtype=np.float32)
        pooled = {id(own): self.pool.pooled(own) for own in {id(own): own for own in items}.values()}
        return self._core.of(rates_of_visitors)(visitors, [pooled[id(own)] for own in items])

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
