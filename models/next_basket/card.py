"""The card of a ranker of next baskets: its features and golden inputs, and the scorer that it belongs to."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.artefacts import card as artefacts
from models.artefacts.card import ArtefactCard, check_same
from models.artefacts.trees import GoldenRows, Trees
from models.next_basket.features import FEATURES


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketCard(ArtefactCard):
    """Everything about a ranker but its trees. `features` are those of `FEATURES` that it reads.

    `counts_sha256` is of the file of counts, which belongs to the trees.
    """

    features: tuple[str, ...]
    golden: GoldenRows
    counts_sha256: str

    def check_names(self) -> None:
        """See `ArtefactCard.check_names`."""
        check_same("features", self.features, tuple(name for name in FEATURES if name in self.features))


class TreeScorer:
    """The trees of an artefact in onnxruntime."""

    def __init__(self, model: bytes, card: BasketCard) -> None:
        self.card = card
        self._trees = Trees(model, card.golden)
        self._columns = [FEATURES.index(name) for name in card.features]

    @property
    def version(self) -> str:
        """That of the card."""
        return self.card.version

    def scores(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scores of rows (rows, FEATURES): within one history, higher is likelier."""
        return self._trees.scores(features[:, self._columns])


def decode_card(text: bytes) -> BasketCard:
    """The card in JSON; raises `models.artefacts.card.ArtefactError` for anything else."""
    return artefacts.decode_card(text, _make)


def _make(plain: dict[str, Any]) -> BasketCard:
    plain["features"] = tuple(plain["features"])
    plain["golden"] = GoldenRows(**plain["golden"])
    return BasketCard(**plain)
