"""The boosted trees that order candidates, beside a session network: trained to say which one comes next."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.artefacts.card import ArtefactError
from models.artefacts.trees import Trees
from models.next_item.card import RANKER_FILE, NextItemCard, RankerCard
from models.recommendation.candidates import FEATURES

Floats = npt.NDArray[np.float32]


class CandidateTrees:
    """See `models.recommendation.session_model.CandidateRanker`.

    Raises `ArtefactError` if the trees cannot be run or do not give their golden scores.
    """

    def __init__(self, model: bytes, card: RankerCard) -> None:
        self._columns = [FEATURES.index(name) for name in card.features]
        try:
            self._trees = Trees(model, card.golden)
        except ArtefactError:
            raise
        except Exception as exc:  # onnxruntime has no common base of its errors
            raise ArtefactError(f"{RANKER_FILE} cannot be run: {exc}") from exc

    def scores(self, rows: Floats) -> Floats:
        """See the protocol."""
        return self._trees.scores(rows[:, self._columns])


def read_trees(folder: Path, card: NextItemCard) -> CandidateTrees | None:
    """The trees of a folder with this card, None if it has none; raises `ArtefactError`."""
    if card.ranker is None:
        return None
    try:
        model = (folder / RANKER_FILE).read_bytes()
    except OSError as exc:
        raise ArtefactError(f"{folder} has no readable {RANKER_FILE}: {exc}") from exc
    if hashlib.sha256(model).hexdigest() != card.ranker.sha256:
        raise ArtefactError(f"{RANKER_FILE} does not belong to its card: the SHA-256 differs")
    return CandidateTrees(model, card.ranker)
