"""What trains and examines models of a slot, registered by its name; the loop is the same for all slots."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from contracts.events import Event
from contracts.settings import Settings
from models.artefacts.card import ArtefactCard
from models.artefacts.source import VersionedSource
from models.lifecycle.pairs import SessionPair

M = TypeVar("M")
D = TypeVar("D")

Floats = npt.NDArray[np.float64]


class Made(NamedTuple):
    """A trained model, its card, and what lies beside them, by name: all files that the card lists."""

    model: bytes
    card: ArtefactCard
    beside: Mapping[str, bytes] = {}


class HeldOut(NamedTuple):
    """Losses in the newest sessions, from which nothing was learnt: of a model, and of base rates.

    One number a session each, summed over its predictions; base rates are those of the time before. `others`
    are the losses, by name, of whatever else a candidate must be better than.
    """

    model: Floats
    base_rates: Floats
    others: Mapping[str, Floats] = {}


class Stretch(NamedTuple):
    """What came of two versions in all sessions that began in a stretch of time; `through_ms` is its last."""

    through_ms: int
    sessions: Sequence[SessionPair]


class SlotTrainer(Generic[M, D]):
    """The base of trainers: `M` is the loaded model, `D` what is made of a shop's events."""

    slot: str
    needs: int
    """Fewest of `counted` to learn from."""
    counted: str = "sessions"
    tasks: tuple[str, ...] = ()
    """Names of the losses in `judge`. None: the stream judges versions, by what it asks them of visitors."""
    fast_enough_s: float = 0.0
    """A call of `ask` that takes no longer is not too slow, however fast the champion is."""

    def source(self, settings: Settings) -> VersionedSource[M]:
        """Where the slot's own model is; versions are loaded as it is."""
        raise NotImplementedError

    def read(self, events: Iterable[Event], settings: Settings) -> D:
        """What is learnt from, of events in order of time."""
        raise NotImplementedError

    def count(self, data: D) -> int:
        """How much of `counted` there is."""
        raise NotImplementedError

    def train(self, data: D) -> Made:
        """A model of all but the newest part; raises `ValueError` if there is too little of something."""
        raise NotImplementedError

    def examine(self, model: M, data: D) -> HeldOut:
        """Losses in the newest part; raises whatever is wrong with what the model says."""
        raise NotImplementedError

    def ask(self, model: M, data: D) -> Any:
        """One call of the model as the stream makes it: its time is measured."""
        raise NotImplementedError

    def judge(self, champion: M, other: M | None, data: D, after_ms: int) -> Stretch:
        """What came of both in sessions that began after `after_ms` and are over, up to where all are.

        Each session is in one stretch only: the next one begins after this one's `through_ms`. Both answer
        without what came later. Without another version the champion is both.
        """
        raise NotImplementedError


AnyTrainer = SlotTrainer[Any, Any]


class InvalidTrainer(ValueError):
    """A trainer that cannot be registered; the message says why."""


class TrainerRegistry:
    """Trainers by slot."""

    def __init__(self) -> None:
        self.trainers: dict[str, AnyTrainer] = {}

    def add(self, trainer: AnyTrainer) -> None:
        """Raises `InvalidTrainer` if the slot has one."""
        if trainer.slot in self.trainers:
            raise InvalidTrainer(f"the slot {trainer.slot!r} has a trainer already")
        self.trainers[trainer.slot] = trainer
