"""Where the API's next-action model comes from."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.next_action.card import CARD_FILE, MODEL_FILE, Card


class Model(Protocol):
    """A loaded next-action model; calls come from one thread at a time."""

    @property
    def version(self) -> str: ...

    @property
    def card(self) -> Card: ...

    @property
    def reads_ids(self) -> bool:
        """Whether it makes use of `ids`, which cost time to make."""
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
        """Per row the strongest reasons: code and effect on the log odds of a purchase."""
        ...


class ModelSource(Protocol):
    """Where models come from."""

    def stamp(self) -> object:
        """Something quickly told that changes with the model; None if none is there."""
        ...

    def load(self) -> Model:
        """The model; raises whatever is wrong with it."""
        ...


class ArtefactFolder:
    """The model in a folder, or the shipped one if the name is empty."""

    def __init__(self, name: str) -> None:
        self._folder = Path(name) if name else Path(str(files("models.next_action") / "artefact"))

    def stamp(self) -> object:
        """Sizes and times of change of the files; None if one is missing."""
        try:
            found = [(self._folder / name).stat() for name in (MODEL_FILE, CARD_FILE)]
        except OSError:
            return None
        return [(each.st_size, each.st_mtime_ns) for each in found]

    def load(self) -> Model:
        """The model, once it has given its golden outputs; raises `ArtefactError`."""
        from models.next_action.predictor import load  # takes onnxruntime along

        return load(self._folder)
