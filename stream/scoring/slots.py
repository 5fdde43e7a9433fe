"""Model slots: places for models in the stream, each registered with what its model is asked and judged by.

A model of a slot is asked about visitors of a round after their events were applied, and its answers ride in
the same commit. What a slot keeps of a visitor until the answer is known is a value in the visitor's state
under the slot's name, plain as MessagePack has it. Every step but `ask` runs on the event loop and is pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.host import Versioned
from models.artefacts.source import ModelSource
from models.next_action.prices import PriceLevel
from stream.batch.result import BatchResult
from stream.components.items import NO_ITEMS, PartitionItems, items_of
from stream.components.prices import level_of
from stream.scoring.companions import SlotCompanion
from stream.scoring.comparison import Comparison, JudgedBySlot
from stream.scoring.judging import Observation as Observation
from stream.scoring.judging import SlotTally as SlotTally

M = TypeVar("M", bound=Versioned)
I = TypeVar("I")  # noqa: E741  # inputs, beside M for models and A for answers
A = TypeVar("A")

TIME_LIMIT_S = 0.5
"""A round goes on without answers after this long, and `VISITOR_LIMIT_S` for each visitor more. A usual call
takes milliseconds; a backlog comes in rounds of thousands of visitors, and competes with the event loop."""
VISITOR_LIMIT_S = 0.001
MOST_VISITORS = 128
"""Visitors in one call, unless a slot says otherwise."""
OTHER = "other"
"""Kind of visitors that a slot tells nothing apart in."""


class Shop(NamedTuple):
    """What is known of the shop after a batch of a partition: its price level, and counts of items."""

    level: PriceLevel
    items: PartitionItems = NO_ITEMS


def shop_of(states: Mapping[str, Any], result: BatchResult) -> Shop:
    """The shop after a batch of a partition, given the states of its components before."""
    return Shop(level_of(states, result), items_of(states, result))


class AskedVisitor(NamedTuple):
    """A visitor as of the batch, and what is known of the shop by then (`Shop`)."""

    user_id: str
    visitor: Visitor
    level: PriceLevel
    items: PartitionItems = NO_ITEMS


class Worth(NamedTuple):
    """What an answer about a visitor is worth while there is time for some only: the greater `rank` first.

    `kind` is what those left unanswered are counted by. Who `waits` is asked about in a later round instead.
    """

    rank: float
    kind: str = OTHER
    waits: bool = False


NOTHING_SPECIAL = Worth(0.0)


class ModelSlot(Generic[M, I, A]):
    """The base of slots: `M` is the model, `I` what it reads of a visitor, `A` what it answers.

    Only `source`, `encode` and `ask` must be there. A slot that overrides `judge` is called with everything
    that visitors do of whom it keeps something.
    """

    name: str
    time_limit_s: float = TIME_LIMIT_S
    most_visitors: int = MOST_VISITORS
    """Visitors in one call."""
    companions: Sequence[SlotCompanion] = ()
    """What goes along with it, such as what learns from the answers to its predictions."""

    def source(self, settings: Settings) -> ModelSource[M]:
        """Where its models come from."""
        raise NotImplementedError

    def select(self, visitor: Visitor) -> bool:
        """Whether to ask about a visitor who acted."""
        return not visitor.ended

    def worth(self, visitor: Visitor) -> Worth:
        """How much an answer matters, where there is not time for all; by default for each alike."""
        return NOTHING_SPECIAL

    def encode(self, subject: AskedVisitor) -> I:
        """What the model reads of a visitor."""
        raise NotImplementedError

    def encode_all(self, subjects: Sequence[AskedVisitor]) -> Sequence[I]:
        """What the model reads of the visitors of one call."""
        return [self.encode(subject) for subject in subjects]

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

    def comparison(self) -> Comparison | None:
        """How another version is compared with the champion; None: it cannot be, and none runs beside it."""
        return JudgedBySlot(self) if self.judges else None

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
