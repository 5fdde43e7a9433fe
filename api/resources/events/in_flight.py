"""Events on their way to Kafka: how many there may be at once."""

import asyncio
import random
from http import HTTPStatus

from api.http.errors import Problem
from api.http.metrics import ApiMetrics

_REPORT_AFTER_S = 0.1


def retry_header() -> dict[str, str]:
    """`Retry-After` of 1 to 5 s, by chance, lest those refused together return together."""
    return {"Retry-After": str(random.randint(1, 5))}


class InFlightEvents:
    """Counts events and bytes from when they are read until they are acknowledged.

    Beyond the limits more is refused at once: what piles up here, while Kafka is slow, is memory.
    """

    def __init__(self, max_events: int, max_bytes: int, metrics: ApiMetrics) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._report: asyncio.TimerHandle | None = None
        self.n_events = 0
        self.n_bytes = 0

    def add(self, n_events: int, n_bytes: int) -> None:
        """Makes room for so many; raises `Problem` 503 if there is none, 413 if there never is."""
        if n_events > self._max_events:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "collector.request_too_large",
                f"this request has {n_events} events, one for each item of an order, and this process "
                "accepts "
                f"{self._max_events} at a time: send at most that many in a request",
            )
        if self.n_events + n_events > self._max_events or self.n_bytes + n_bytes > self._max_bytes:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "collector.busy",
                "too many events are waiting for Kafka; send the same request again, with the same event_id",
                headers=retry_header(),
            )
        self.n_events += n_events
        self.n_bytes += n_bytes
        self._report_soon()

    def remove(self, n_events: int, n_bytes: int) -> None:
        """Gives back what was added."""
        self.n_events -= n_events
        self.n_bytes -= n_bytes
        self._report_soon()

    def _report_soon(self) -> None:
        """Tells the metrics a moment later, once for all changes until then."""
        if self._report is None:
            self._report = asyncio.get_running_loop().call_later(_REPORT_AFTER_S, self._report_now)

    def _report_now(self) -> None:
        self._report = None
        self._metrics.set_backlog(self.n_events, self.n_bytes)
