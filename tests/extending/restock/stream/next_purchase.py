"""A model slot: is the next event of a visitor with a cart a purchase? The model is one weight."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from contracts.events import EventType
from contracts.settings import Settings
from contracts.visitor import Visitor
from models.artefacts.card import ArtefactCard, check_golden, decode_card, read_artefact
from models.artefacts.source import ArtefactFolder
from models.lifecycle.trainer import Made
from stream.registry import Registry
from stream.scoring.slots import AskedVisitor, ModelSlot, Observation, SlotTally

ARTEFACT = Path(__file__).parents[1] / "artefact"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCard(ArtefactCard):
    """`golden` has numbers of products in a cart, and the chances that they give."""

    golden: dict[str, list[float]]


class CartWeight(NamedTuple):
    """A loaded model."""

    version: str
    weight: float

    def chances(self, n_products: Sequence[float]) -> list[float]:
        """Chances of a purchase, by the number of products in the cart."""
        return [1 / (1 + math.exp(1 - self.weight * n)) for n in n_products]


class Kept(NamedTuple):
    """What waits to be judged: the version that answered, and its chance in thousandths."""

    version: str
    thousandths: int


class NextPurchase(ModelSlot[CartWeight, int, Kept]):
    """The newest answer about a visitor counts."""

    name = "next_purchase"

    def source(self, settings: Settings) -> ArtefactFolder[CartWeight]:  # it has its own
        """The artefact of the extension."""
        return ArtefactFolder(ARTEFACT, load)

    def select(self, visitor: Visitor) -> bool:
        """Who has a cart."""
        return not visitor.ended and bool(visitor.head.cart)

    def encode(self, subject: AskedVisitor) -> int:
        """The number of products in the cart."""
        return len(subject.visitor.head.cart)

    def ask(self, model: CartWeight, visitors: Sequence[Visitor], inputs: Sequence[int]) -> list[Kept]:
        """A chance for each of the visitors."""
        found = zip(visitors, model.chances(inputs), strict=True)
        return [Kept(model.version, round(1_000 * chance)) for _, chance in found]

    def keep(self, kept: Any, visitor: Visitor, answer: Kept) -> Any:  # the newest counts
        """The answer as it is."""
        return list(answer)

    def judge(self, kept: Any, outcome: Observation, tally: SlotTally) -> Any:
        """By the next event, or by the end of the session without one."""
        if not (outcome.events or outcome.after.ended):
            return kept
        version, chance = kept[0], kept[1] / 1_000
        bought = any(event.event_type is EventType.PURCHASE for event in outcome.events[:1])
        at_ms = outcome.events[0].event_time_ms if outcome.events else outcome.after.head.last_ms
        loss = -math.log(chance if bought else 1 - chance)
        tally.judge(at_ms, version, is_right=bought == (chance >= 0.5), loss=loss)
        return None


def load(folder: Path) -> CartWeight:
    """The model in a folder, once it has given its golden outputs; raises `ArtefactError`."""
    model, card = read_artefact(folder, lambda text: decode_card(text, lambda plain: WeightCard(**plain)))
    loaded = CartWeight(card.version, float(model))
    found = np.array(loaded.chances(card.golden["n_products"]))
    check_golden({"purchase": found}, {"purchase": card.golden["chances"]}, 1e-6)
    return loaded


def make(weight: float) -> Made:
    """A model of this weight and its card."""
    model = str(weight).encode()
    golden = {"n_products": [0.0, 3.0], "chances": CartWeight("", weight).chances([0, 3])}
    card = WeightCard(
        model_sha256=hashlib.sha256(model).hexdigest(), config={}, training={}, metrics={}, libraries={},
        licence="", golden=golden,
    ).sealed()  # fmt: skip
    return Made(model, card)


def register(registry: Registry) -> None:
    """Register it."""
    registry.add_slot(NextPurchase())
