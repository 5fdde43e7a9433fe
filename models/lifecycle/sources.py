"""Where a process gets the champion of a slot from, and the version that runs beside it."""

from typing import Generic, TypeVar

from models.artefacts.card import ArtefactError
from models.artefacts.source import ModelSource, VersionedSource
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.state import BASE
from models.lifecycle.store import ModelStore

M = TypeVar("M")


class NoVersion(LookupError):
    """There is no version to load now."""


class Versions(Generic[M]):
    """The versions of a slot's model: `base` is what the slot comes with, the others are in the store."""

    def __init__(self, slot: str, base: ModelSource[M], lifecycle: Lifecycle, store: ModelStore) -> None:
        self.slot = slot
        self.lifecycle = lifecycle
        self._base = base
        self._store = store

    def source_of(self, version: str) -> ModelSource[M]:
        """Where a version is; raises `ArtefactError` if models of the slot come from no folder."""
        if version == BASE:
            return self._base
        if not isinstance(self._base, VersionedSource):
            raise ArtefactError(f"models of {self.slot} come from no folder: there is no version {version}")
        return self._base.at(self._store.place(self.slot, version))

    def champion(self) -> ModelSource[M]:
        """The champion, whichever it is."""
        return _Following(self, is_beside=False)

    def beside(self) -> ModelSource[M]:
        """What runs beside the champion; `load` raises `NoVersion` if nothing does."""
        return _Following(self, is_beside=True)


class _Following(Generic[M]):
    """A source that changes with the state of its slot."""

    def __init__(self, versions: Versions[M], *, is_beside: bool) -> None:
        self._versions = versions
        self._is_beside = is_beside

    def stamp(self) -> object:
        """See `ModelSource.stamp`."""
        version = self._version()
        return (version, self._versions.source_of(version).stamp()) if version else None

    def load(self) -> M:
        """See `ModelSource.load`."""
        version = self._version()
        if not version:
            raise NoVersion(f"nothing runs beside the champion of {self._versions.slot}")
        loaded = self._versions.source_of(version).load()
        found = getattr(loaded, "version", version)
        if version != BASE and found != version:
            raise ArtefactError(f"the folder of version {version} has version {found}")
        return loaded

    def _version(self) -> str:
        state = self._versions.lifecycle.state(self._versions.slot)
        return state.beside if self._is_beside else state.champion
