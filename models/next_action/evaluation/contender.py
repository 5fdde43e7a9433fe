"""What can be compared: anything that learns from cases and predicts cases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.next_action.cases import PrefixSet

Floats = npt.NDArray[np.float64]


class Predictions(NamedTuple):
    """Of n cases: the distribution of the next action (n, 5) and the probability of a purchase (n,)."""

    action: Floats
    purchase: Floats


class Contender(Protocol):
    """A predictor in the comparison.

    Everything is fitted on `train`; `valid` is for early stopping and calibration, never for the weights.
    """

    @property
    def parameters(self) -> int:
        """How many numbers were fitted, leaves of trees included."""

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:
        """Learn from scratch."""

    def predict(self, cases: PrefixSet) -> Predictions:
        """Calibrated probabilities of every case."""


MakeContender = Callable[[], Contender]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: a kind of model and the settings to choose from on the validation part.

    `make` takes each of `settings` as keywords. `seeded`: another seed gives another model, so several are
    fitted; `reads_rates`: the context that it gets has the rates of items.
    """

    make: Callable[..., Contender]
    settings: tuple[Mapping[str, Any], ...] = ({},)
    seeded: bool = True
    reads_rates: bool = True
