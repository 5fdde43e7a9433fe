"""Where the API's next-action model comes from."""

from importlib.resources import files
from pathlib import Path
from typing import Protocol

from models.artefacts.card import CARD_FILE, MODEL_FILE
from models.next_action.card import NextActionCard
from models.next_action.model import Model


class CardedModel(Model, Protocol):
    """A loaded model that says where it comes from."""

    @property
    def card(self) -> NextActionCard: ...


class ModelSource(Protocol):
    """Where models come from."""

    def stamp(self) -> object:
        """Something quickly told that changes with the model; None if none is there."""
        ...

    def load(self) -> CardedModel:
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

    def load(self) -> CardedModel:
        """The model, once it has given its golden outputs; raises `ArtefactError`."""
        from models.next_action.predictor import load  # takes onnxruntime along

        return load(self._folder)
