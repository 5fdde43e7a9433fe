"""A trained model at work: numpy in, calibrated probabilities and reasons out."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.scores import SCALE
from models.artefacts.card import ArtefactError, check_golden
from models.artefacts.onnx_session import open_session
from models.next_action.card import NextActionCard, Surrogate, read_artefact
from models.next_action.features import CONTEXT_FEATURES, ID_FEATURES
from models.next_action.reasons import REASON_CODES, REASON_OF_FEATURE

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MOST_REASONS = 3
_ROWS = 64
"""Cases whose reasons are found at once: so many keep to the processor's cache."""


class Prediction(NamedTuple):
    """Of a batch: the next action (batch, 5) as in `TARGETS`, a purchase later in the session (batch,)."""

    probabilities: Floats
    purchase: Floats


class Reason(NamedTuple):
    """A group of features and what it adds to the log odds of a purchase, compared with an average case."""

    code: str
    effect: float


class Predictor:
    """One model in one session of onnxruntime.

    Raises `ArtefactError` if the model cannot be run or does not give its golden outputs.
    """

    def __init__(self, model: bytes, card: NextActionCard) -> None:
        self.card = card
        try:
            self._session = open_session(model)
            self._check_golden()
        except ArtefactError:
            raise
        except (
            Exception
        ) as exc:  # onnxruntime has no common base of its errors; the caller keeps its old model
            raise ArtefactError(f"the model cannot be run: {exc}") from exc
        self._reasons = _Curves(card.surrogate)

    @property
    def version(self) -> str:
        """Digest of the model and its card."""
        return self.card.version

    @property
    def reads_ids(self) -> bool:
        """Whether it makes use of `ids`: it was trained on one's own shop, with embeddings."""
        return bool(self.card.id_features)

    @property
    def reads_rates(self) -> bool:
        """Whether the context ends with `RATE_FEATURES`."""
        return self.card.reads_rates

    def predict(self, steps: Floats, lengths: Ints, context: Floats, ids: Ints | None = None) -> Prediction:
        """Calibrated probabilities of a batch.

        steps (batch, time, features), left-aligned, padding of any finite value; lengths (batch,), 1 to time;
        context (batch, features), as the card names them. All finite. Time is at most `MAX_STEPS` of the
        encoding. ids (batch, time, kinds) as of `stack_ids`; None: no name is known.
        """
        inputs = {"steps": steps, "lengths": lengths, "context": context}
        if self.reads_ids:
            inputs["ids"] = np.zeros((*steps.shape[:2], len(ID_FEATURES)), np.int64) if ids is None else ids
        return Prediction(*self._session.run(None, inputs))

    def reasons(self, context: Floats, limit: int = MOST_REASONS) -> list[list[Reason]]:
        """What speaks most for or against a purchase in each case, strongest first, rounded as it is kept."""
        return self._reasons.strongest(context, limit)

    def _check_golden(self) -> None:
        golden = self.card.golden
        found = self.predict(
            np.array(golden.steps, dtype=np.float32),
            np.array(golden.lengths, dtype=np.int64),
            np.array(golden.context, dtype=np.float32),
            None if golden.ids is None else np.array(golden.ids, dtype=np.int64),
        )
        check_golden(
            {"next action": found.probabilities, "purchase": found.purchase},
            {"next action": golden.probabilities, "purchase": golden.purchase},
            golden.tolerance,
        )


class _Curves:
    """The surrogate as arrays."""

    def __init__(self, surrogate: Surrogate) -> None:
        self._feature = np.array(surrogate.feature, dtype=np.int64)
        self._low = np.array(surrogate.low, dtype=np.float32)
        self._inverse = np.array(surrogate.inverse, dtype=np.float32)
        # The codes of what is read: one more column changes how the others are added up.
        reads_rates = max(surrogate.feature, default=0) >= len(CONTEXT_FEATURES)
        self._codes = np.array(REASON_CODES if reads_rates else REASON_CODES[:-1], dtype=object)
        groups = np.array(REASON_OF_FEATURE, dtype=np.int64)[self._feature]
        self._by_group = np.zeros((len(self._feature), len(self._codes)), dtype=np.float32)
        self._by_group[np.arange(len(groups)), groups] = surrogate.weight
        self._average = np.array(surrogate.mean, dtype=np.float32) @ self._by_group

    def strongest(self, context: Floats, limit: int) -> list[list[Reason]]:
        """The groups with the largest effects, by size whatever the sign."""
        effects = np.concatenate(
            [self._effects(context[at : at + _ROWS]) for at in range(0, len(context) or 1, _ROWS)]
        )
        order = np.argsort(-np.abs(effects), axis=1, kind="stable")[:, :limit]
        kept = np.rint(np.take_along_axis(effects, order, axis=1).astype(np.float64) * SCALE) / SCALE
        return [
            [*map(Reason._make, zip(codes, row, strict=True))]
            for codes, row in zip(self._codes[order].tolist(), kept.tolist(), strict=True)
        ]

    def _effects(self, context: Floats) -> Floats:
        """What each group adds, compared with an average case (batch, groups)."""
        bins = context.take(self._feature, axis=1)
        bins -= self._low
        bins *= self._inverse
        np.clip(bins, 0.0, 1.0, out=bins)
        return np.asarray(bins @ self._by_group - self._average)


def load(folder: Path) -> Predictor:
    """The model in a folder; raises `ArtefactError` if damaged, made for other inputs or wrong."""
    model, card = read_artefact(folder)
    return Predictor(model, card)


def load_shipped() -> Predictor:
    """The model that comes with this package, trained on the simulated shop."""
    with as_file(files("models.next_action") / "artefact") as folder:
        return load(folder)
