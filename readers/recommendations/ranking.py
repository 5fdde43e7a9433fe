"""The trained model of sessions that this process asks, where the settings name one."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from models.artefacts.host import ModelHost
from models.artefacts.source import ArtefactFolder, ModelSource
from models.recommendation.answer import Recommendation
from models.recommendation.catalogue import CatalogueView
from models.recommendation.recent_sessions import RecentSessions
from models.recommendation.recommend import recommend
from models.recommendation.request import RecommendationRequest

if TYPE_CHECKING:
    from models.next_item.served import ServedNetwork
    from models.recommendation.session_model import SessionModel

_log = logging.getLogger(__name__)

VERSION = "recent-sessions-1"
"""Of what ranks the products without a model."""


def next_item_folder(name: str) -> "ArtefactFolder[ServedNetwork] | None":
    """The model in this folder; None for an empty name."""
    return ArtefactFolder(Path(name), _load) if name else None


def _load(folder: Path) -> "ServedNetwork":
    # Here: it brings onnxruntime, which a process without a model need not load.
    from models.next_item.served import load_served

    return load_served(folder)


class Ranking:
    """Ranks with the model of a host, which takes up newer ones while the process runs, or without any."""

    def __init__(self, source: "ModelSource[SessionModel] | None" = None) -> None:
        self.host = None if source is None else ModelHost("next item", source)
        self._failed: SessionModel | None = None

    def start(self) -> None:
        """Begin to load the model, and to look for newer ones."""
        if self.host is not None:
            self.host.start()

    async def close(self) -> None:
        """End the watching."""
        if self.host is not None:
            await self.host.stop()

    @property
    def trouble(self) -> str | None:
        """Why the model of the settings does not rank, if it does not."""
        if self.host is None or self._model is not None:
            return None
        if self.host.model is not None:
            return "it has failed"
        return str(self.host.refusal or "it is being read")

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
    def _model(self) -> "SessionModel | None":
        model = None if self.host is None else self.host.model
        return None if model is self._failed else model
