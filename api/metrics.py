"""What the API counts about itself, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class ApiMetrics:
    """Counters of one app in a registry of its own; labels are route templates, never ids."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "storepulse_api_requests",
            "Requests answered, by route template, method and status",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._duration = Histogram(
            "storepulse_api_request_seconds",
            "Time from request to last byte of the answer",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def observe(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Counts one answered request."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        self._duration.labels(route).observe(duration_s)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)
