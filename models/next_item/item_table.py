"""The items of a session network: their ids, vectors, and how often training had each of them."""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.artefacts.card import ArtefactError

ITEMS_FILE = "items.npz"


class ItemTable(NamedTuple):
    """The item with code `i` is row `i` of each."""

    ids: npt.NDArray[np.str_]
    """The shop's names of the items."""
    vectors: npt.NDArray[np.float32]
    """(items, width), each of unit length."""
    counts: npt.NDArray[np.int64]
    """0: training never had it, and it is never recommended."""

    def encode(self) -> bytes:
        """The file; the same table gives the same bytes."""
        file = io.BytesIO()
        np.savez(file, **self._asdict())
        return file.getvalue()


def read_items(folder: Path, sha256: str) -> ItemTable:
    """The table in a folder; raises `ArtefactError` unless it is the one with this digest."""
    try:
        content = (folder / ITEMS_FILE).read_bytes()
    except OSError as exc:
        raise ArtefactError(f"{folder} has no readable {ITEMS_FILE}: {exc}") from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ArtefactError(f"{ITEMS_FILE} does not belong to its card: the SHA-256 differs")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return ItemTable(*(arrays[name] for name in ItemTable._fields))
