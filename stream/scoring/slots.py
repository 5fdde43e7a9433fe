"""Model slots: places for models in the stream, each registered with what its model is asked and judged by.

A model of a slot is asked about visitors of a round after their events were applied, and its answers ride in
the same commit. What a slot keeps of a visitor until the answer is known is a value in the visitor's state
under the slot's name, plain as MessagePack has it. Every step but `ask` runs on the event loop and is pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from contracts.events import Event
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.host import Versioned
from models.artefacts.source import ModelSource
from models.next_action.prices import PriceLevel
from models.quality import MICRO
from models.slot_quality import SlotQuality, slot_counter
from stream.batch.result import BatchResult
from stream.scoring.companions import SlotCompanion
from stream.scoring.predictions import PredictionResults

M = TypeVar("M", bound=Versioned)
I = TypeVar("I")  # noqa: E741  # inputs, beside M for models and A for answers
A = TypeVar("A")

TIME_LIMIT_S = 0.5
"""A round goes on without answers after this long, and `VISITOR_LIMIT_S` for each visitor more. A usual call
takes milliseconds; a backlog comes in rounds of thousands of visitors, and competes with the event loop."""
VISITOR_LIMIT_S = 0.001
MOST_VISITORS = 128
"""Visitors in one call."""


class AskedVisitor(NamedTuple):
    """A visitor as of the batch, and the shop's price level."""

    user_id: str
    visitor: Visitor
    level: PriceLevel


class Observation(NamedTuple):
    """What a visitor did since a slot was asked: new events, or none where the watermark passed a silence."""

    user_id: str
    before: Visitor | None
    after: Visitor
    events: Sequence[Event]


class SlotTally:
    """What judging adds to the counters of a slot, and the numbers that its drift is watched by."""

    def __init__(self, slot: str, results: PredictionResults) -> None:
        self._slot = slot
        self._results = results

    def judge(self, at_ms: int, version: str, *, is_right: bool, loss: float) -> None:
        """Count one prediction of a model version, whose answer was known at `at_ms` (event time).

        `loss` is in nats; 1 for a wrong prediction and 0 for a right one is what drift is watched by.
        """
        changes = [(SlotQuality.JUDGED, 1), (SlotQuality.RIGHT, int(is_right))]
        self.count(at_ms, version, [*changes, (SlotQuality.LOSS, round(loss * MICRO))])
        self.watch("error", 0.0 if is_right else 1.0)

    def count(self, at_ms: int, version: str, changes: Iterable[tuple[str, int]]) -> None:
        """Add whole numbers to counters of the slot's own in the minute of `at_ms`."""
        named = [(slot_counter(self._slot, name), change) for name, change in changes if change]
        self._results.tally.add(at_ms, version, named)

    def watch(self, name: str, value: float) -> None:
        """Watch whether the mean of a number between 0 and 1 changes; `name` must hold no blank."""
        self._results.watched.setdefault(self._slot, {}).setdefault(name, []).append(value)


class ModelSlot(Generic[M, I, A]):
    """The base of slots: `M` is the model, `I` what it reads of a visitor, `A` what it answers.

    Only `source`, `encode` and `ask` must be there. A slot that overrides `judge` is called with everything
    that visitors do of whom it keeps something.
    """

    name: str
    time_limit_s: float = TIME_LIMIT_S
    companions: Sequence[SlotCompanion] = ()
    """What goes along with it, such as what learns from the answers to its predictions."""

    def source(self, settings: Settings) -> ModelSource[M]:
        """Where its models come from."""
        raise NotImplementedError

    def select(self, visitor: Visitor) -> bool:
        """Whether to ask about a visitor who acted."""
        return not visitor.ended

    def plan(self, visitors: Sequence[Visitor]) -> Sequence[Sequence[int]]:
        """Places in `visitors` that are asked together, every one of them once."""
        places = range(len(visitors))
        return [places[at : at + MOST_VISITORS] for at in range(0, len(visitors), MOST_VISITORS)]

    def encode(self, subject: AskedVisitor) -> I:
        """What the model reads of a visitor."""
        raise NotImplementedError

    def ask(self, model: M, visitors: Sequence[Visitor], inputs: Sequence[I]) -> Sequence[A]:
        """One call, in the model's thread: an answer for each of the visitors, in their order."""
        raise NotImplementedError

    def take(self, result: BatchResult, answers: Mapping[str, A]) -> None:
        """Put the answers about visitors of a result into it: none while the model is in trouble."""
        for user_id, answer in answers.items():
            visitor = result.visitors[user_id]
            result.visitors[user_id] = self.with_kept(visitor, self.keep(self.kept(visitor), visitor, answer))

    def keep(self, kept: Any, visitor: Visitor, answer: A) -> Any:
        """What to keep of a visitor after an answer; None for nothing."""
        return None

    def judge(self, kept: Any, outcome: Observation, tally: SlotTally) -> Any:
        """Judge what was kept by what the visitor did, before anything new is asked; what to keep of it."""
        return kept

    @property
    def judges(self) -> bool:
        """Whether it must see what visitors do."""
        return type(self).judge is not ModelSlot.judge

    def kept(self, visitor: Visitor) -> Any:
        """What the slot keeps of a visitor; None for nothing."""
        return visitor.extra.get(self.name)

    def with_kept(self, visitor: Visitor, kept: Any) -> Visitor:
        """The visitor with another kept value."""
        extra = {name: value for name, value in visitor.extra.items() if name != self.name}
        if kept is not None:
            extra[self.name] = kept
        return visitor._replace(extra=extra)


AnySlot = ModelSlot[Any, Any, Any]
