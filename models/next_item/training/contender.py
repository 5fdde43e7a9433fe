"""A session network as a model in comparisons: fitted with torch, scored in onnxruntime as it is shipped."""

from collections.abc import Callable, Sequence

import numpy as np

from models.next_item.cases import known_cases_of
from models.next_item.model import Scores
from models.next_item.network import SessionNetwork, network_of
from models.next_item.sessions import Codes, Sessions, split_by_time
from models.next_item.training.export import make_artefact
from models.next_item.training.fit import VALID_SHARE, Epoch, Fitted, fit_net
from models.next_item.training.net_config import FitConfig, NetConfig


class NetworkModel:
    """A session network of a configuration, trained where it has not learnt from those sessions before."""

    name = "network"

    def __init__(
        self,
        net: NetConfig,
        fit: FitConfig,
        *,
        seed: int = 1,
        threads: int = 1,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        self._net, self._config, self._seed, self._threads = net, fit, seed, threads
        self._on_epoch = on_epoch
        self._trained: list[SessionNetwork] = []

    def fit(self, sessions: Sessions) -> None:
        """Learn from scratch, with the newest tenth of the sessions as validation.

        What an earlier call has trained is not trained again; that includes the network before the refit.
        """
        found = network_of(self._trained, sessions)
        self._network = self._train(sessions) if found is None else found

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        """Cosines (n, n_items); -inf for items that training lacks."""
        return self._network.scores(prefixes)

    def _train(self, sessions: Sessions) -> SessionNetwork:
        fitted = fit_net(
            sessions, self._net, self._config, seed=self._seed, threads=self._threads, on_epoch=self._on_epoch
        )
        network = self._served(fitted, sessions)
        self._trained.append(network)
        if fitted.validated is not None:
            early, _ = split_by_time(sessions, VALID_SHARE)
            self._trained.append(self._served(fitted.validated, early))
        return network

    def _served(self, fitted: Fitted, sessions: Sessions) -> SessionNetwork:
        codes = np.arange(sessions.n_items).astype(np.str_)
        cases = known_cases_of(sessions, self._net.length)
        made = make_artefact(fitted, codes, cases, config={}, training={})
        return SessionNetwork(made.model, made.card, made.table)
