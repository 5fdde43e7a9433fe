"""A model slot beside the next action's: is the visitor's next event a purchase? Its model is a number."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from contracts.events import EventType
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.card import CARD_FILE, MODEL_FILE, ArtefactError
from models.artefacts.source import ArtefactFolder
from stream.scoring.slots import AskedVisitor, ModelSlot, Observation, SlotTally

NAME = "next_purchase"


class Chance(NamedTuple):
    """The model: everybody's chance, after so many seconds of thinking. A chance beyond 1 fails."""

    version: str
    chance: float
    takes_s: float


def put_model(folder: Path, version: str, chance: float, *, takes_s: float = 0.0) -> None:
    """Put a model into its folder; a chance below 0 is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((MODEL_FILE, f"{chance} {takes_s}"), (CARD_FILE, version)):
        made = folder / f".{name}"
        made.write_text(text)
        made.replace(folder / name)


def load_model(folder: Path) -> Chance:
    """The model in a folder; raises `ArtefactError`."""
    chance, takes_s = map(float, (folder / MODEL_FILE).read_text().split())
    if chance < 0:
        raise ArtefactError(f"a chance is at least 0, got {chance:g}")
    return Chance((folder / CARD_FILE).read_text(), chance, takes_s)


class NextPurchaseSlot(ModelSlot[Chance, int, float]):
    """Asked of visitors with something in the cart; judged by their next event, or the session's end."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def source(self, settings: Settings) -> ArtefactFolder[Chance]:  # noqa: ARG002  # the slot's own folder
        """A folder of its own."""
        return ArtefactFolder(self._folder, load_model)

    def select(self, visitor: Visitor) -> bool:
        """Only who has a cart."""
        return not visitor.ended and bool(visitor.head.cart)

    def encode(self, subject: AskedVisitor) -> int:
        """How many products are in the cart."""
        return len(subject.visitor.head.cart)

    def ask(self, model: Chance, visitors: Sequence[Visitor], inputs: Sequence[int]) -> list[float]:
        """The model's chance, for everybody."""
        time.sleep(model.takes_s)
        if model.chance > 1:
            raise ArithmeticError("a chance is at most 1")
        return [model.chance for _ in zip(visitors, inputs, strict=True)]

    def keep(self, kept: Any, visitor: Visitor, answer: float) -> Any:  # noqa: ARG002  # replaced
        """The newest chance only."""
        return [round(1_000 * answer), visitor.head.last_ms]

    def judge(self, kept: Any, outcome: Observation, tally: SlotTally) -> Any:
        """By the first event, or by the end of the session."""
        thousandths, asked_ms = kept
        if outcome.events:
            at_ms = outcome.events[0].event_time_ms
            bought = outcome.events[0].event_type is EventType.PURCHASE
        elif outcome.after.ended:
            at_ms, bought = outcome.after.head.last_ms, False
        else:
            return kept
        chance = thousandths / 1_000
        loss = -math.log(max(1e-4, chance if bought else 1 - chance))
        tally.judge(at_ms, "v1", is_right=bought == (chance >= 0.5), loss=loss)
        tally.count(at_ms, "v1", [("waited_ms", at_ms - asked_ms)])
        return None
