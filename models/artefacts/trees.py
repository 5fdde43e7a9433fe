"""Boosted trees of an artefact in onnxruntime: rows of features in, a score of each out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.artefacts.card import check_golden
from models.artefacts.onnx_session import open_session

Floats = npt.NDArray[np.float32]

INPUT, OUTPUT = "features", "scores"
TOLERANCE = 1e-4
"""Largest difference of a score between machines."""


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """Rows of features and the scores they had when the trees were made; `tolerance` is absolute."""

    features: list[list[float]]
    scores: list[float]
    tolerance: float


class Trees:
    """Trees that are ready to be asked.

    Raises `ArtefactError` where they give other scores than the golden ones, and what onnxruntime raises,
    whose errors have no common base.
    """

    def __init__(self, model: bytes, golden: GoldenRows) -> None:
        self._session = open_session(model)
        found = self.scores(np.array(golden.features, np.float32))
        check_golden({OUTPUT: found}, {OUTPUT: golden.scores}, golden.tolerance)

    def scores(self, rows: Floats) -> Floats:
        """(rows,) of features (rows, features)."""
        (scores,) = self._session.run([OUTPUT], {INPUT: rows})
        return np.asarray(scores[:, 0])
