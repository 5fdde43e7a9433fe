"""What the API counts about itself, for Prometheus."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from api.http.shared_metrics import SharedMetrics
from contracts.senders import SenderLabels

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ACK_SECONDS = (*_SECONDS, 5.0)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


EventResult = Literal["accepted", "duplicate", "rejected", "dropped", "ignored", "valid", "unacknowledged"]


class ApiMetrics:
    """Counters of one app in a registry of its own; labels are route templates, never ids.

    With `shared` it shows the sums over all processes that share. A gauge must then say how it is added up:
    `multiprocess_mode`.
    """

    def __init__(self, shared: SharedMetrics | None = None) -> None:
        self._shared = shared
        self.registry = CollectorRegistry()
        """Resources register metrics of their own here."""
        # To find a child by its labels takes longer than to count with it.
        self._request_children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._event_children: dict[tuple[str, str], Counter] = {}
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "storepulse_api_requests",
            "Requests answered, by route template, method and status",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "storepulse_api_request_seconds",
            "Time from request to last byte of the answer",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._events = Counter(
            "storepulse_api_events",
            "Events received, by result (valid: a dry run) and reason code, if any",
            ("result", "code"),
            registry=self.registry,
        )
        self._rejected_of = Counter(
            "storepulse_api_rejected_of_sender",
            "Rejected events by sender: key or library, and user agent",
            ("sender", "code"),
            registry=self.registry,
        )
        self._senders = SenderLabels()
        self._acks = Histogram(
            "storepulse_api_ack_seconds",
            "Time until Kafka acknowledged all events of a request",
            buckets=_ACK_SECONDS,
            registry=self.registry,
        )

        self._bytes = Counter(
            "storepulse_api_event_bytes",
            "Bytes of event bodies, decompressed",
            registry=self.registry,
        )
        self._waiting_events = Gauge(
            "storepulse_api_waiting_events",
            "Events waiting for Kafka to acknowledge them",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._waiting_bytes = Gauge(
            "storepulse_api_waiting_bytes",
            "Bytes of events read and not yet acknowledged",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._predictions = Counter(
            "storepulse_api_predictions",
            "Prediction requests with valid actions: answered, or a reason code",
            ("result",),
            registry=self.registry,
        )
        self._prediction = Histogram(
            "storepulse_api_prediction_seconds",
            "Time from validation to the prediction, including waiting",
            buckets=_SECONDS,
            registry=self.registry,
        )

        self._streams = Gauge(
            "storepulse_api_sse_clients",
            "Open alert streams",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._dropped_streams = Counter(
            "storepulse_api_sse_dropped",
            "Streams closed because the client did not read",
            registry=self.registry,
        )

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Counts one answered request."""
        key = (route, method, status)
        children = self._request_children.get(key)
        if children is None:
            known = method if method in _METHODS else "other"
            children = (self._requests.labels(route, known, str(status)), self._duration.labels(route))
            if known == method:  # others could be without end
                self._request_children[key] = children
        children[0].inc()
        children[1].observe(duration_s)

    def count_events(self, result: EventResult, code: str = "", n_events: int = 1) -> None:
        """Counts events; `code` is one of the contract's or ours, never a sender's text."""
        child = self._event_children.get((result, code))
        if child is None:
            child = self._event_children[result, code] = self._events.labels(result, code)
        child.inc(n_events)

    def count_refusal(self, sender: str, code: str) -> None:
        """Counts a refused event; `sender` is a short plain name."""
        self._rejected_of.labels(self._senders.label_of(sender), code).inc()

    def count_body(self, n_bytes: int) -> None:
        """Counts the bytes of one body with events, as they are when decompressed."""
        self._bytes.inc(n_bytes)

    def set_backlog(self, n_events: int, n_bytes: int) -> None:
        """Sets what is read and not yet acknowledged."""
        self._waiting_events.set(n_events)
        self._waiting_bytes.set(n_bytes)

    def observe_ack(self, duration_s: float) -> None:
        """Counts one request whose events were all acknowledged."""
        self._acks.observe(duration_s)

    def count_prediction(self, result: str) -> None:
        """Counts one predict request; `result` is `answered` or one of our codes."""
        self._predictions.labels(result).inc()

    def observe_prediction(self, duration_s: float) -> None:
        """Counts the time of one answered prediction."""
        self._prediction.observe(duration_s)

    def set_streams(self, n_open: int) -> None:
        """Sets how many streams of alerts are open."""
        self._streams.set(n_open)

    def count_dropped_stream(self) -> None:
        """Counts one stream whose client did not read."""
        self._dropped_streams.inc()

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return self._shared.render() if self._shared else generate_latest(self.registry)
