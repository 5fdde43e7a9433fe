"""What the process that publishes recommendations says of itself, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

RESULTS = ("published", "unchanged", "empty", "forgotten", "fenced", "older", "failed")
"""What becomes of a visitor who was taken from a queue."""
_LAG_BUCKETS_S = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class PublishingMetrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.visitors = Counter(
            "storepulse_publish_visitors",
            "Visitors whose list was made, by outcome",
            ("result",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "storepulse_publish_waiting", "Visitors whose list is due", registry=self.registry
        )
        self.lag = Gauge(
            "storepulse_publish_lag_seconds",
            "Time since the list that has waited longest became due",
            registry=self.registry,
        )
        self.waited = Histogram(
            "storepulse_publish_waited_seconds",
            "Time from when a list was due until it was made",
            buckets=_LAG_BUCKETS_S,
            registry=self.registry,
        )
        self.sessions_age = Gauge(
            "storepulse_publish_sessions_age_seconds",
            "Time since what other visitors did was last taken in",
            registry=self.registry,
        )
        for result in RESULTS:
            self.visitors.labels(result)
