"""What the work beside the stream says of itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_RUN_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class JobMeter:
    """Counts by job of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge(
            "storepulse_worker_job_waiting",
            "Subjects of this worker's partitions that are due",
            ["job"],
            registry=registry,
        )
        self.lag = Gauge(
            "storepulse_worker_job_lag_seconds",
            "Time since the subject that has waited longest became due",
            ["job"],
            registry=registry,
        )
        self.running = Gauge(
            "storepulse_worker_job_running", "Subjects taken from the queues", registry=registry
        )
        self.runs = Counter(
            "storepulse_worker_job_runs", "Runs by outcome", ["job", "result"], registry=registry
        )
        self.seconds = Histogram(
            "storepulse_worker_job_seconds",
            "Duration of a run, not counting the wait for its turn",
            ["job"],
            buckets=_RUN_BUCKETS_S,
            registry=registry,
        )
        self.dropped = Counter(
            "storepulse_worker_job_dropped",
            "Triggers and subjects dropped because memory or a queue was full",
            ["job"],
            registry=registry,
        )
        self.failed_triggers = Counter(
            "storepulse_worker_job_failed_triggers",
            "Commits for which a job could not say what became stale",
            ["job"],
            registry=registry,
        )
