"""Networks in the comparison: one budget for all, run in onnxruntime as they are shipped."""

import numpy as np

from models.artefacts.onnx_session import open_session
from models.next_action.cases import PrefixSet
from models.next_action.evaluation.contender import Predictions
from models.next_action.training.fit import FitConfig, fit_net, lengths_of
from models.next_action.training.net_config import BUCKETS, NetConfig, NetKind
from models.next_action.training.nets import count_parameters
from models.next_action.training.onnx_model import INPUTS, to_onnx

_BATCH = 512


class NetContender:
    """A network of one kind; with embeddings it reads the names of products, categories and brands too."""

    seeded = True

    def __init__(self, kind: NetKind, config: FitConfig | None = None, *, embeddings: bool = False) -> None:
        self.name = kind.replace("_", "-") + ("-ids" if embeddings else "")
        self._net = NetConfig(kind=kind, buckets=BUCKETS if embeddings else 0)
        self._config = config or FitConfig()
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
