"""A next-action model without training, for tests of what is around models: a few rules over the features."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.next_action.actions import TARGETS
from models.next_action.card import Golden, NextActionCard, Surrogate
from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES
from models.next_action.rates import RATE_FEATURES

CARTS = CONTEXT_FEATURES.index("n_carts_log")
ACTIONS = CONTEXT_FEATURES.index("n_actions_log")


def make_card(version: str) -> NextActionCard:
    """A card of a model that exists only in a test."""
    return NextActionCard(
        model_sha256="0" * 64,
        step_features=STEP_FEATURES,
        context_features=CONTEXT_FEATURES,
        targets=TARGETS,
        config={"kind": "rules"},
        training={"events": 1_000},
        metrics={"log_loss": 0.5},
        libraries={"numpy": "2"},
        licence="none needed",
        golden=Golden([], [], [], [], [], 0.0),
        surrogate=Surrogate([], [], [], [], [], 0.0, 0.0),
        version=version,
    )


@dataclass
class RuleModel:
    """The longer the prefix, the likelier the end; with something put into the cart a purchase is likely.

    `rates` are what it was last given of those. `may_answer` is cleared to keep it from answering; `broken`
    makes it give numbers that are none.
    """

    version: str = "rules-1"
    broken: bool = False
    may_answer: threading.Event = field(default_factory=threading.Event)
    reads_rates: bool = False
    rates: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_answer.set()

    @property
    def card(self) -> NextActionCard:
        return make_card(self.version)

    @property
    def reads_ids(self) -> bool:
        return False

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Probabilities of the next action (batch, 5) and of a purchase (batch,)."""
        assert ids is None
        assert steps.shape == (len(lengths), lengths.max(), len(STEP_FEATURES))
        assert context.shape[1] == len(CONTEXT_FEATURES) + len(RATE_FEATURES) * self.reads_rates
        self.rates = context[:, len(CONTEXT_FEATURES) :].tolist()
        assert self.may_answer.wait(10)
        leave = 1 - 0.9 ** np.expm1(context[:, ACTIONS])
        carted = context[:, CARTS] > 0
        rest = 1 - leave
        columns = [
            rest * 0.7,
            rest * 0.1,
            rest * 0.1 * carted,
            rest * 0.1,
            leave + rest * 0.1 * (1 - carted),
        ]
        probabilities = np.stack(columns, axis=1).astype(np.float32)
        purchase = np.where(carted, 0.5, 0.05).astype(np.float32)
        return probabilities * (np.nan if self.broken else 1), purchase

    def reasons(self, context: npt.NDArray[np.float32]) -> Sequence[Sequence[tuple[str, float]]]:
        """Only the cart counts."""
        return [[("cart", 1.5 if carts > 0 else -0.5)] for carts in context[:, CARTS].tolist()]


@dataclass
class GivenModel:
    """A source that holds one model, or the error that comes instead of it."""

    model: RuleModel = field(default_factory=RuleModel)
    error: Exception | None = None
    number: int = 0

    def stamp(self) -> object:
        """Changes with `number`."""
        return self.number

    def load(self) -> RuleModel:
        """The model; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return self.model
