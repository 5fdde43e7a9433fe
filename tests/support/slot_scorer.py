"""The scorer of the next-action slot around models that a test hands over."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from models.artefacts.host import ModelHost
from models.artefacts.source import ModelSource
from models.next_action.encoding import Encoded
from models.next_action.model import Model
from shoppers import SETTINGS
from stream.runtime.metrics import Meter
from stream.scoring.next_action import NextActionSlot, ScoredVisitor
from stream.scoring.scorer import Scorer

NextActionScorer = Scorer[Model, Encoded, ScoredVisitor]


class FixedModel:
    """A model that says the same of everybody, once its gate is open, and fails over too long sessions.

    With `purchase_per_action` the chance of a purchase is that for each action instead. A visitor takes it
    `slow_s` of the processor, and a call waits for `wait_s` before.
    """

    def __init__(
        self,
        version: str = "v1",
        *,
        purchase: float = 0.4,
        purchase_per_action: float = 0.0,
        longest: int | None = None,
        reads_ids: bool = False,
        slow_s: float = 0.0,
        wait_s: float = 0.0,
    ) -> None:
        self.version = version
        self.reads_ids = reads_ids
        self.reads_rates = False
        self.ids: list[npt.NDArray[np.int64] | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.widths: list[tuple[int, int]] = []
        self._purchase = purchase
        self._per_action = purchase_per_action
        self._longest = longest
        self._slow_s, self._wait_s = slow_s, wait_s

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        assert len(lengths) == len(context) == len(steps)
        self.gate.wait(10.0)
        time.sleep(self._wait_s)
        until_s = time.thread_time() + self._slow_s * len(steps)
        while time.thread_time() < until_s:
            pass
        self.widths.append((len(steps), steps.shape[1]))
        self.ids.append(ids)
        if self._longest is not None and steps.shape[1] > self._longest:
            raise RuntimeError("too long")
        rows = np.tile(np.array([0.5, 0.2, 0.1, 0.1, 0.1], dtype=np.float32), (len(steps), 1))
        if self._per_action:
            return rows, lengths.astype(np.float32) * np.float32(self._per_action)
        return rows, np.full(len(steps), self._purchase, dtype=np.float32)

    def reasons(self, context: npt.NDArray[np.float32]) -> Sequence[Sequence[tuple[str, float]]]:
        return [[("cart", -0.5)] for _ in context]


class Nothing:
    """A source without a model: the test takes one up itself."""

    def stamp(self) -> object:
        """Always the same."""
        return None

    def load(self) -> Model:
        """There is none."""
        raise FileNotFoundError("no model")


def make_scorer(
    *,
    time_limit_s: float = 30.0,
    source: ModelSource[Model] | None = None,
    on_refusal: Callable[[], None] = lambda: None,
) -> NextActionScorer:
    """A scorer whose host has no model yet."""
    slot = NextActionSlot(SETTINGS)
    slot.time_limit_s = time_limit_s
    host = ModelHost(slot.name, source or Nothing(), on_refusal)
    return Scorer(slot, host, Meter().slot(slot.name))
