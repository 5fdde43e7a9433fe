"""A session network as live recommendations ask it, by the shop's ids, and the ranker of its folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.next_item.candidate_trees import CandidateTrees, read_trees
from models.next_item.card import NextItemCard
from models.next_item.network import SessionNetwork, load
from models.next_item.sessions import UNKNOWN

Floats = npt.NDArray[np.float32]


class ServedNetwork:
    """See `models.recommendation.session_model.SessionModel`."""

    def __init__(self, network: SessionNetwork, ranker: CandidateTrees | None = None) -> None:
        self._network = network
        self.ranker = ranker
        items = network.items
        learnt = np.flatnonzero(items.counts)
        self._codes = dict(zip(items.ids[learnt].tolist(), learnt.tolist(), strict=True))

    @property
    def card(self) -> NextItemCard:
        """That of the folder."""
        return self._network.card

    @property
    def version(self) -> str:
        """That of the card."""
        return self._network.version

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> Floats | None:
        """Cosines of the session and each candidate; raises `ArithmeticError` for what is no number."""
        session = [code for name in products if (code := self._codes.get(name)) is not None]
        if not session:
            return None
        (vector,) = self._network.encode([np.array(session, dtype=np.int32)])
        codes = np.array([self._codes.get(name, UNKNOWN) for name in candidates], dtype=np.int64)
        found: Floats = self._network.items.vectors[codes] @ vector
        if not np.isfinite(found).all():
            raise ArithmeticError("the network says what is no number")
        found[codes == UNKNOWN] = np.nan
        return found


def load_served(folder: Path) -> ServedNetwork:
    """What `storepulse train next-item` wrote; raises `ArtefactError` if damaged or wrong."""
    network = load(folder)
    return ServedNetwork(network, read_trees(folder, network.card))
