"""Where a running process gets a model from."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from models.artefacts.card import CARD_FILE, MODEL_FILE

M_co = TypeVar("M_co", covariant=True)


class ModelSource(Protocol[M_co]):
    """Where models of one kind come from. Both calls may block."""

    def stamp(self) -> object:
        """Something quickly told that changes with the model; None if none is there."""
        ...

    def load(self) -> M_co:
        """The model, checked; raises whatever is wrong with it."""
        ...


@runtime_checkable
class VersionedSource(ModelSource[M_co], Protocol[M_co]):
    """One whose further versions are in folders, each loaded in the same way."""

    def at(self, folder: Path) -> ModelSource[M_co]:
        """The version in a folder."""
        ...


class ArtefactFolder(Generic[M_co]):
    """The model in a folder; `load` reads it and raises for one that must not be used."""

    def __init__(self, folder: Path, load: Callable[[Path], M_co]) -> None:
        self.folder = folder
        self._load = load

    def stamp(self) -> object:
        """Sizes and times of change of the files; None if one is missing."""
        try:
            found = [(self.folder / name).stat() for name in (MODEL_FILE, CARD_FILE)]
        except OSError:  # or one that is being replaced
            return None
        return [(each.st_size, each.st_mtime_ns) for each in found]

    def at(self, folder: Path) -> "ArtefactFolder[M_co]":
        """Models of the same kind from another folder."""
        return ArtefactFolder(folder, self._load)

    def load(self) -> M_co:
        """The model; raises what `load` raises, such as `models.artefacts.card.ArtefactError`."""
        return self._load(self.folder)


class NoArtefact(Generic[M_co]):
    """What a slot comes with where that is no artefact; its versions are in folders that `load` reads."""

    def __init__(self, model: M_co, load: Callable[[Path], M_co]) -> None:
        self._model = model
        self._load = load

    def stamp(self) -> object:
        """Never another one."""
        return ""

    def at(self, folder: Path) -> ArtefactFolder[M_co]:
        """The version in a folder."""
        return ArtefactFolder(folder, self._load)

    def load(self) -> M_co:
        """Always the same."""
        return self._model
