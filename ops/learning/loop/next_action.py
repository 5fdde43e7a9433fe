"""Trains the next-action model in the loop. The modules of training need the extra [train]."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from contracts.events import Event
from contracts.heartbeat import NEXT_ACTION
from contracts.settings import Settings
from models.artefacts.source import ArtefactFolder
from models.evaluation.metrics import binary_losses, class_losses
from models.lifecycle.trainer import HeldOut, Made, SlotTrainer
from models.next_action.actions import TARGETS
from models.next_action.cases import PrefixSet
from models.next_action.predictor import Predictor
from models.next_action.prefixes import prefixes_of
from models.next_action.source import next_action_folder
from ops.learning.predictions import say_model

TRAIN, VALID = 0.7, 0.15
"""Shares of the sessions, the earliest first: learnt from, and stopped and calibrated by. The rest is new."""
NEEDS = 2_000
_ASKED = 64
OWN_LICENCE = "Trained on the shop's own events; their terms apply."


class NextActionTrainer(SlotTrainer[Any, PrefixSet]):
    """The model that `storepulse train next-action` makes, with the same defaults."""

    slot = NEXT_ACTION
    needs = NEEDS

    def source(self, settings: Settings) -> ArtefactFolder[Any]:
        """See `SlotTrainer.source`."""
        return next_action_folder(settings.model_dir)

    def read(self, events: Iterable[Event], settings: Settings) -> PrefixSet:
        """See `SlotTrainer.read`."""
        return prefixes_of(events, idle_ms=settings.idle_ms)

    def count(self, data: PrefixSet) -> int:
        """See `SlotTrainer.count`."""
        return int((data.length == 1).sum())

    def train(self, data: PrefixSet) -> Made:
        """See `SlotTrainer.train`."""
        from models.next_action.training.fit import FitConfig
        from models.next_action.training.net_config import BLEND
        from models.next_action.training.recipe import recipe_of, train

        recipe = recipe_of(BLEND, FitConfig(), train=TRAIN, valid=VALID, licence=OWN_LICENCE)
        trained = train({"this shop": data}, recipe)
        return Made(trained.model, trained.card)

    def examine(self, model: Predictor, data: PrefixSet) -> HeldOut:
        """See `SlotTrainer.examine`: both tasks together."""
        learnt, valid, new = _parts(data)
        before = np.concatenate([learnt.target, valid.target])
        rates = (np.bincount(before, minlength=len(TARGETS)) + 1.0) / (len(before) + len(TARGETS))
        bought = (learnt.will_buy.sum() + valid.will_buy.sum() + 1.0) / (len(before) + 2.0)
        actions, purchase = say_model(model, new)
        if actions.shape != (len(new), len(TARGETS)) or purchase.shape != (len(new),):
            raise ValueError(f"it says numbers of the shapes {actions.shape} and {purchase.shape}")
        said = np.asarray(actions, dtype=np.float64)
        if not (np.isfinite(said).all() and np.isfinite(purchase).all()):
            raise ValueError("it says what is no number")
        if (said < 0).any() or np.abs(said.sum(1) - 1.0).max(initial=0.0) > 0.01:
            raise ValueError("it says what are no probabilities")
        own = class_losses(new.target, said) + binary_losses(new.will_buy, np.asarray(purchase, np.float64))
        constant = np.broadcast_to(rates, said.shape)
        base = class_losses(new.target, constant) + binary_losses(new.will_buy, np.full(len(new), bought))
        _, session = np.unique(new.session, return_inverse=True)
        model_losses, base_losses = (
            np.bincount(session, losses).astype(np.float64) for losses in (own, base)
        )
        return HeldOut(model_losses, base_losses)

    def ask(self, model: Predictor, data: PrefixSet) -> Any:
        """See `SlotTrainer.ask`."""
        asked = data.select(slice(_ASKED)).with_rates(model.reads_rates)
        steps, lengths, context, ids = asked.inputs(slice(None), with_ids=model.reads_ids)
        return model.predict(steps, lengths, context, ids)


def _parts(data: PrefixSet) -> tuple[PrefixSet, PrefixSet, PrefixSet]:
    return data.split(*data.boundaries(TRAIN, TRAIN + VALID))
