"""The store of versions: a folder `SLOT/VERSION` with a card and the files it lists, whole or not at all."""

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from models.artefacts.card import MODEL_FILE, ArtefactCard, check_files, write_artefact

KEPT = 10
"""Versions of a slot that are kept beside those in use, the newest."""


class ModelStore:
    """Every process that asks models or writes them sees the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def slot_folder(self, slot: str) -> Path:
        """Where the versions of a slot are, and how far they were judged."""
        return self._folder / slot

    def slots(self) -> list[str]:
        """Slots that have a folder."""
        try:
            found = [entry.name for entry in os.scandir(self._folder) if entry.is_dir()]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith("."))

    def place(self, slot: str, version: str) -> Path:
        """Where a version is, or would be."""
        return self._folder / slot / version

    def has(self, slot: str, version: str) -> bool:
        """Whether a version is there."""
        return self.place(slot, version).is_dir()

    def put(
        self, slot: str, model: bytes, card: ArtefactCard, beside: Mapping[str, bytes] | None = None
    ) -> Path:
        """Write a version, if it is not there; `beside` has its further files, by name.

        Raises `ArtefactError` if they are not the files that the card lists, and `OSError`.
        """
        check_files({MODEL_FILE: model, **(beside or {})}, card)
        place = self.place(slot, card.version)
        if place.is_dir():
            return place
        made = place.with_name(f".{card.version}.{os.getpid()}")
        try:
            write_artefact(made, model, card, beside)
            made.rename(place)
        except OSError:
            if not place.is_dir():  # or another process was as fast
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return place

    def versions(self, slot: str) -> list[str]:
        """The versions that are there, newest first."""
        try:
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in os.scandir(self._folder / slot)]
        except FileNotFoundError:
            return []
        return [name for _, name in sorted(found, reverse=True) if not name.startswith(".")]

    def prune(self, slot: str, in_use: Collection[str]) -> list[str]:
        """Remove the oldest of the versions that are not in use; which."""
        spare = [version for version in self.versions(slot) if version not in in_use]
        for version in spare[KEPT:]:
            shutil.rmtree(self.place(slot, version), ignore_errors=True)
        return spare[KEPT:]
