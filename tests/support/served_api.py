"""The API on a port, for clients that are programs of their own."""

import threading

from api.app import create_app
from contracts.settings import Settings
from models.artefacts.source import ModelSource
from models.next_action.source import CardedModel
from ops.serving.server import make_server
from services import wait_until


class ServedApi:
    """The API of the settings' port, in a thread."""

    def __init__(self, settings: Settings, source: ModelSource[CardedModel] | None = None) -> None:
        self.url = f"http://127.0.0.1:{settings.api_port}"
        self._server = make_server(create_app(settings, source), settings)
        self._thread = threading.Thread(target=self._server.run)

    def start(self) -> None:
        """Returns when it answers."""
        self._thread.start()
        wait_until(lambda: self._server.started, 10, "the API")

    def stop(self) -> None:
        """Ends it."""
        self._server.should_exit = True
        self._thread.join(10)
