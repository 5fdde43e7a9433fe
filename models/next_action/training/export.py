"""Making an artefact: the ONNX model and its card, checked against what was fitted."""

import hashlib
import platform
from importlib.metadata import version as installed
from typing import Any

import numpy as np
import numpy.typing as npt

from models.artefacts.card import ArtefactError
from models.next_action.actions import TARGETS
from models.next_action.card import Golden, NextActionCard
from models.next_action.cases import PrefixSet
from models.next_action.encoding import Inputs
from models.next_action.features import CONTEXT_FEATURES, ID_FEATURES, STEP_FEATURES
from models.next_action.predictor import Predictor
from models.next_action.rates import RATE_FEATURES
from models.next_action.training.blend import FittedModel
from models.next_action.training.calibration import calibrated, identity
from models.next_action.training.fit import inputs_of, lengths_of
from models.next_action.training.surrogate import fit_surrogate

TOLERANCE = 1e-4
"""Largest difference of a probability between machines, and between two trainings with the same seed."""
N_GOLDEN = 8
_OF_TREES = ("lightgbm",)
_LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch")


def make_artefact(
    fitted: FittedModel,
    train: PrefixSet,
    valid: PrefixSet,
    *,
    config: dict[str, Any],
    training: dict[str, Any],
    metrics: dict[str, Any],
    licence: str,
) -> tuple[bytes, NextActionCard]:
    """Model and card; raises `ArtefactError` if onnxruntime says something else of the golden inputs."""
    model = fitted.to_onnx().SerializeToString(deterministic=True)
    net = fitted.network.net
    pairs = [(part.context, fitted.logits_of(part)[:, 5].astype(np.float32)) for part in (train, valid)]
    libraries = _LIBRARIES if fitted.beside is None else (*_LIBRARIES, *_OF_TREES)
    card = NextActionCard(
        model_sha256=hashlib.sha256(model).hexdigest(),
        step_features=STEP_FEATURES,
        context_features=(*CONTEXT_FEATURES, *RATE_FEATURES)[: train.context.shape[1]],
        targets=TARGETS,
        config=config,
        training=training,
        metrics=metrics,
        libraries={"python": platform.python_version(), **{name: installed(name) for name in libraries}},
        licence=licence,
        golden=_golden(fitted, valid),
        surrogate=fit_surrogate(net.normalisation, pairs[0], pairs[1]),
        id_features=() if net.names is None else ID_FEATURES,
    ).sealed()
    Predictor(model, card)
    return model, card


def _golden(fitted: FittedModel, cases: PrefixSet) -> Golden:
    """Cases of all lengths, from the shortest to the longest."""
    order = np.argsort(lengths_of(cases), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, N_GOLDEN).astype(np.int64)]
    steps, lengths, context, ids = inputs_of(fitted.network.net, cases, chosen)
    rounded = _rounded(steps), _rounded(context)
    inputs: Inputs = rounded[0].astype(np.float32), lengths, rounded[1].astype(np.float32), ids
    probabilities, purchase = calibrated(fitted.logits_of_batch(inputs), identity())
    if not (np.isfinite(probabilities).all() and np.isfinite(purchase).all()):
        raise ArtefactError("the model gives no finite probabilities for its golden inputs")
    return Golden(
        rounded[0].tolist(), lengths.tolist(), rounded[1].tolist(),
        _rounded(probabilities, 7).tolist(), _rounded(purchase, 7).tolist(), TOLERANCE,
        None if ids is None else ids.tolist(),
    )  # fmt: skip


def _rounded(values: npt.NDArray[Any], digits: int = 5) -> npt.NDArray[np.float64]:
    return np.asarray(np.round(values.astype(np.float64), digits), dtype=np.float64)
