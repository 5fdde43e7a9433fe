"""What the worker and the API need of a loaded next-action model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Model(Protocol):
    """A loaded next-action model; calls come from one thread at a time."""

    @property
    def version(self) -> str: ...

    @property
    def reads_ids(self) -> bool:
        """Whether it makes use of `ids`, which cost time to make."""
        ...

    @property
    def reads_rates(self) -> bool:
        """Whether `context` must end with the rates of items."""
        ...

    def predict(
        self,
        steps: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        context: npt.NDArray[np.float32],
        ids: npt.NDArray[np.int64] | None = None,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Probabilities of the next action (batch, 5) and of a purchase (batch,)."""
        ...

    def reasons(self, context: npt.NDArray[np.float32]) -> Sequence[Sequence[tuple[str, float]]]:
        """Per row the strongest reasons: code and effect on the log odds of a purchase, in whole 1/SCALE."""
        ...
