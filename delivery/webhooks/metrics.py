"""What the process that delivers webhooks counts about itself, for Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from delivery.webhooks.deliveries import Result
from delivery.webhooks.endpoints import EndpointState


class WebhookMetrics:
    """Counters and gauges in a registry of their own; labels are our words, never URLs or ids."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._attempts = Counter(
            "storepulse_webhook_attempts",
            "Delivery attempts by outcome",
            ("result",),
            registry=self.registry,
        )
        self._oldest = Gauge(
            "storepulse_webhook_oldest_pending_seconds",
            "Time the oldest waiting delivery has waited; 0: none is waiting",
            registry=self.registry,
        )
        self._endpoints = Gauge(
            "storepulse_webhook_endpoints",
            "Registered endpoints by state",
            ("state",),
            registry=self.registry,
        )
        self._leases = Gauge(
            "storepulse_webhook_leases", "Endpoints this process delivers to", registry=self.registry
        )
        for result in Result:
            self._attempts.labels(result.value)
        self.show_endpoints({})

    def count_attempt(self, result: Result) -> None:
        """Counts one attempt."""
        self._attempts.labels(result.value).inc()

    def show_endpoints(self, counts: Mapping[EndpointState, int]) -> None:
        """How many endpoints are in each state."""
        for state in EndpointState:
            self._endpoints.labels(state.value).set(counts.get(state, 0))

    def show_leases(self, leases: int, oldest_s: float) -> None:
        """What this process holds, and since when its oldest delivery waits."""
        self._leases.set(leases)
        self._oldest.set(oldest_s)
