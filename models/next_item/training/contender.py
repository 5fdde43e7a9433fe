"""A session network as a model in comparisons: fitted with torch, scored in onnxruntime as it is shipped."""

from collections.abc import Callable, Sequence

import numpy as np

from models.next_item.model import Scores
from models.next_item.network import SessionNetwork
from models.next_item.sessions import Codes, Sessions
from models.next_item.training.cases import cases_of
from models.next_item.training.export import Artefact, make_artefact
from models.next_item.training.fit import Epoch, fit_net
from models.next_item.training.net_config import FitConfig, NetConfig


class NetworkModel:
    """A session network of a configuration; once fitted, `artefact` is what was made of it."""

    def __init__(
        self,
        net: NetConfig,
        fit: FitConfig,
        *,
        seed: int = 1,
        threads: int = 1,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        self.name = f"network {net.kind}"
        self._net, self._config, self._seed, self._threads = net, fit, seed, threads
        self._on_epoch = on_epoch
        self.artefact: Artefact | None = None

    def fit(self, sessions: Sessions) -> None:
        """Learn from scratch, with the newest tenth of the sessions as validation."""
        fitted = fit_net(
            sessions, self._net, self._config, seed=self._seed, threads=self._threads, on_epoch=self._on_epoch
        )
        codes = np.arange(sessions.n_items).astype(np.str_)
        cases = cases_of(sessions, self._net.length)
        self.artefact = make_artefact(fitted, codes, cases, config={}, training={})
        self._network = SessionNetwork(self.artefact.model, self.artefact.card, self.artefact.table)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        """Cosines (n, n_items); -inf for items that training lacks."""
        return self._network.scores(prefixes)
