"""Networks in the comparison: one budget for all, run in onnxruntime as they are shipped."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from models.artefacts.onnx_session import open_session
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Predictions
from models.next_action.training.fit import FitConfig, fit_net, lengths_of
from models.next_action.training.net_config import BUCKETS, NetConfig, NetKind
from models.next_action.training.nets import count_parameters
from models.next_action.training.onnx_model import INPUTS, to_onnx

_BATCH = 512
NOTHING: Mapping[str, Any] = MappingProxyType({})


class NetContender:
    """A network of one kind; with embeddings it reads the names of products, categories and brands too.

    `net` and `fit` are fields of `NetConfig` and `FitConfig` that differ from the default.
    """

    def __init__(
        self,
        kind: NetKind,
        *,
        embeddings: bool = False,
        net: Mapping[str, Any] = NOTHING,
        fit: Mapping[str, Any] = NOTHING,
    ) -> None:
        self._net = NetConfig(kind=kind, buckets=BUCKETS if embeddings else 0, **net)
        self._config = FitConfig(**fit)
        self.parameters = 0

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:
        """Fit, calibrate and export."""
        fitted = fit_net(self._net, self._config, train, valid, seed=seed)
        self.parameters = count_parameters(fitted.net)
        model = to_onnx(fitted.net, fitted.calibration).SerializeToString()
        self._session = open_session(model)

    def predict(self, cases: PrefixSet) -> Predictions:
        """Calibrated probabilities, short prefixes together."""
        action, purchase = np.empty((len(cases), 5)), np.empty(len(cases))
        order = np.argsort(lengths_of(cases), kind="stable")
        for at in range(0, len(order), _BATCH):
            indices = order[at : at + _BATCH]
            read = cases.inputs(indices, with_ids=bool(self._net.buckets))
            inputs = {name: part for name, part in zip(INPUTS, read, strict=True) if part is not None}
            action[indices], purchase[indices] = self._session.run(None, inputs)
        return Predictions(action, purchase)
