"""Where a process gets its next-action model from."""

from importlib.resources import files
from pathlib import Path
from typing import Protocol

from models.artefacts.card import ArtefactCard
from models.artefacts.source import ArtefactFolder
from models.next_action.model import Model


class CardedModel(Model, Protocol):
    """A loaded model that says where it comes from."""

    @property
    def card(self) -> ArtefactCard: ...


def next_action_folder(model_dir: str) -> ArtefactFolder[CardedModel]:
    """The model in this folder, or the shipped one if the name is empty."""
    shipped = Path(str(files("models.next_action") / "artefact"))
    return ArtefactFolder(Path(model_dir) if model_dir else shipped, _load)


def _load(folder: Path) -> CardedModel:
    # Here: it brings onnxruntime, which a process that asks no model need not load.
    from models.next_action.predictor import load

    return load(folder)
