"""What trains the model of the slot: the weight under which the shop's past is most likely."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from contracts.events import Event, EventType
from contracts.settings import Settings
from models.artefacts.source import ArtefactFolder
from models.lifecycle.trainer import HeldOut, Made, SlotTrainer, TrainerRegistry
from restock.stream.next_purchase import ARTEFACT, CartWeight, load, make

WEIGHTS = np.linspace(-1.0, 1.5, 101)
LEARNT = 0.7
"""Share of the visitors that is learnt from, those who came first."""


class Carts(NamedTuple):
    """A case for each event of who has a cart: the visitor, products in it, and was a purchase next?"""

    visitor: np.ndarray
    n_products: np.ndarray
    bought: np.ndarray


class WeightTrainer(SlotTrainer[CartWeight, Carts]):
    """Tries a hundred weights."""

    slot = "next_purchase"
    needs = 100
    counted = "carts"

    def source(self, settings: Settings) -> ArtefactFolder[CartWeight]:
        """The artefact of the extension."""
        return ArtefactFolder(ARTEFACT, load)

    def read(self, events: Iterable[Event], settings: Settings) -> Carts:
        """Carts in the order in which their visitors came."""
        numbers: dict[str, int] = {}
        carts: dict[str, set[str]] = {}
        cases = []
        for event in events:
            number = numbers.setdefault(event.user_id, len(numbers))
            cart = carts.setdefault(event.user_id, set())
            is_bought = event.event_type is EventType.PURCHASE
            if cart:
                cases.append((number, len(cart), is_bought))
            if is_bought:
                cart.clear()
            elif event.event_type is EventType.CART:
                cart.add(event.product_id)
        return Carts(*np.array(sorted(cases), dtype=np.int64).reshape(-1, 3).T)

    def count(self, data: Carts) -> int:
        """Carts."""
        return len(np.unique(data.visitor))

    def train(self, data: Carts) -> Made:
        """The best weight for those who came first."""
        learnt, _ = _split(data)
        losses = [_losses(CartWeight("", weight), learnt).sum() for weight in WEIGHTS]
        return make(round(float(WEIGHTS[int(np.argmin(losses))]), 3))

    def examine(self, model: CartWeight, data: Carts) -> HeldOut:
        """Losses of those who came last, and of the rate of those who came first."""
        learnt, new = _split(data)
        rate = (learnt.bought.sum() + 1) / (len(learnt.bought) + 2)
        base = -np.log(np.where(new.bought, rate, 1 - rate))
        _, visitor = np.unique(new.visitor, return_inverse=True)
        model_losses = np.bincount(visitor, _losses(model, new)).astype(np.float64)
        return HeldOut(model_losses, np.bincount(visitor, base).astype(np.float64))

    def ask(self, model: CartWeight, data: Carts) -> list[float]:
        """Chances of the first carts."""
        return model.chances(data.n_products[:64].tolist())


def _split(data: Carts) -> tuple[Carts, Carts]:
    is_learnt = data.visitor < LEARNT * (data.visitor.max(initial=0) + 1)
    return Carts(*(part[is_learnt] for part in data)), Carts(*(part[~is_learnt] for part in data))


def _losses(model: CartWeight, data: Carts) -> np.ndarray:
    chances = np.array(model.chances(data.n_products.tolist()))
    return -np.log(np.where(data.bought, chances, 1 - chances))


def register(registry: TrainerRegistry) -> None:
    """Register it."""
    registry.add(WeightTrainer())
