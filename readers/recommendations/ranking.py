"""The trained model of sessions that this process asks: the champion of its slot, if there is any."""

import logging
from collections.abc import Awaitable, Callable

from models.artefacts.host import ModelHost
from models.artefacts.source import ModelSource
from models.next_item.source import ALONE
from models.recommendation.answer import Recommendation
from models.recommendation.catalogue import CatalogueView
from models.recommendation.recent_sessions import RecentSessions
from models.recommendation.recommend import recommend
from models.recommendation.request import RecommendationRequest
from models.recommendation.session_model import SessionModel

_log = logging.getLogger(__name__)

VERSION = "recent-sessions-1"
"""Of what ranks the products without a model."""


class Ranking:
    """Ranks with the model of a host, which takes up newer ones while the process runs, or without any.

    `wait` is over once it is known which version is the champion; None: it is known at once.
    """

    def __init__(
        self,
        source: ModelSource[SessionModel] | None = None,
        wait: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.host = None if source is None else ModelHost("next item", source)
        self._wait = wait
        self._failed: SessionModel | None = None

    def start(self) -> None:
        """Begin to load the model, and to look for newer ones."""
        if self.host is not None:
            self.host.start(self._wait)

    async def close(self) -> None:
        """End the watching."""
        if self.host is not None:
            await self.host.stop()

    @property
    def trouble(self) -> str | None:
        """Why the model of now does not rank, if it does not."""
        if self.host is None:
            return None
        if self.host.refusal is not None:
            return str(self.host.refusal)
        if self.host.model is None:
            return "it is being read"
        return "it has failed" if self.host.model is self._failed else None

    def recommend(
        self, index: RecentSessions, catalogue: CatalogueView, request: RecommendationRequest
    ) -> tuple[Recommendation, str]:
        """The answer, and the version of what ranked it.

        A model that fails is not asked again until there is another one. It is asked on the event loop: that
        takes less than handing over to a thread.
        """
        model = self._model
        if model is not None:
            try:
                return recommend(index, catalogue, request, model), f"{VERSION}-{model.version}"
            except Exception as exc:  # whatever a model does wrong, there are the recent sessions
                self._failed = model
                _log.error(
                    "model %s of the next item has failed and is not asked again: %r", model.version, exc
                )
        return recommend(index, catalogue, request), VERSION

    @property
    def _model(self) -> SessionModel | None:
        model = None if self.host is None else self.host.model
        return None if model is self._failed or model is ALONE else model
