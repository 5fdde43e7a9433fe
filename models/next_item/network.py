"""A trained session network at work: prefixes of item codes in, scores of all items out, without torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.artefacts.card import ArtefactError, check_golden, read_artefact
from models.artefacts.onnx_session import open_session
from models.next_item.card import NextItemCard, decode_card
from models.next_item.item_table import ItemTable, read_items
from models.next_item.rows import rows_of
from models.next_item.sessions import UNKNOWN, Codes, Sessions

Floats = npt.NDArray[np.float32]
VALIDATED = "validation"
"""Inside the folder of a network: the one that has not learnt from the newest tenth of the sessions."""
_BATCH = 256
"""Prefixes that are encoded at once, those of about the same length together."""


class SessionNetwork:
    """The encoder in one session of onnxruntime, and the item vectors.

    The encoder takes item vectors, not codes, so that there is one table for what goes in and what comes out.
    Raises `ArtefactError` if the model cannot be run or does not give its golden outputs.
    """

    def __init__(self, model: bytes, card: NextItemCard, items: ItemTable) -> None:
        self.card, self.items = card, items
        self._never = items.counts == 0
        # A prefix without an item that is known is answered by popularity, below any cosine.
        self._popular = (np.log1p(items.counts) - np.log1p(items.counts.max()) - 1.0).astype(np.float32)
        try:
            self._session = open_session(model)
            self._check_golden()
        except ArtefactError:
            raise
        except Exception as exc:  # onnxruntime has no common base of its errors
            raise ArtefactError(f"the model cannot be run: {exc}") from exc

    @property
    def version(self) -> str:
        """Digest of the model, its items and its card."""
        return self.card.version

    def encode(self, prefixes: Sequence[Codes]) -> Floats:
        """Vectors of unit length (n, width); all 0 for a prefix without an item that is known."""
        vectors = np.zeros((len(prefixes), self.items.vectors.shape[1]), dtype=np.float32)
        lengths = np.array([len(prefix) for prefix in prefixes])
        order = np.argsort(lengths, kind="stable")
        for at in range(0, len(order), _BATCH):
            indices = order[at : at + _BATCH]
            rows, known = rows_of([prefixes[index] for index in indices], self.card.length)
            indices, rows, known = indices[known > 0], rows[known > 0], known[known > 0]
            if len(indices):
                inputs = {"vectors": self.items.vectors[rows], "lengths": known}
                (vectors[indices],) = self._session.run(None, inputs)
        return vectors

    def scores(self, prefixes: Sequence[Codes]) -> Floats:
        """Cosines (n, items); -inf for items that training never had."""
        vectors = self.encode(prefixes)
        scores = vectors @ self.items.vectors.T
        scores[~vectors.any(axis=1)] = self._popular
        scores[:, self._never] = -np.inf
        return scores

    def _check_golden(self) -> None:
        golden = self.card.golden
        found = self.encode([np.array(prefix, dtype=np.int32) for prefix in golden.prefixes])
        check_golden({"session vector": found}, {"session vector": golden.vectors}, golden.tolerance)


def network_of(networks: Sequence[SessionNetwork], sessions: Sessions) -> SessionNetwork | None:
    """The one that has learnt from these sessions: it knows how often each item occurs there."""
    counts = np.bincount(sessions.items[sessions.items != UNKNOWN], minlength=sessions.n_items)
    return next((one for one in networks if np.array_equal(one.items.counts, counts)), None)


class TrainedNetworks:
    """Networks that were trained before, as one model of the next item: each knows what it learnt from."""

    name = "network"

    def __init__(self, networks: Sequence[SessionNetwork]) -> None:
        self._networks = networks

    def fit(self, sessions: Sessions) -> None:
        """Take the network that has learnt from these sessions; raises `ValueError` if none has."""
        found = network_of(self._networks, sessions)
        if found is None:
            raise ValueError(
                "the network must have learnt from the sessions that the others learn from, "
                f"{sessions.n_sessions:,} with {sessions.n_items:,} items, and has learnt from others; "
                "without --test, train it with the same --held-back as the evaluation"
            )
        self._network = found

    def scores(self, prefixes: Sequence[Codes]) -> Floats:
        """As `SessionNetwork.scores`."""
        return self._network.scores(prefixes)


def load_trained(folder: Path) -> TrainedNetworks:
    """What `storepulse train next-item` wrote into a folder; raises `ArtefactError` if damaged or wrong."""
    inside = folder / VALIDATED
    return TrainedNetworks([load(folder), *([load(inside)] if inside.is_dir() else [])])


def load(folder: Path) -> SessionNetwork:
    """The network in a folder; raises `ArtefactError` if damaged or wrong."""
    model, card = read_artefact(folder, decode_card)
    return SessionNetwork(model, card, read_items(folder, card.items_sha256))
