"""What a worker measures: Prometheus metrics, and the last seconds for its heartbeat."""

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count

from connections.redis_health import RedisHealth
from contracts.alerts import Alert
from contracts.senders import SenderLabels
from stream.batch.step import BatchResult, Entry
from stream.runtime.slot_metrics import SlotMeter, SlotMeters
from stream.state.commit import CommitStatus

WINDOW_S = 10
SAMPLED = 256
"""About as many delays of a large batch are kept, evenly spaced; of one with fewer events all of them."""
OF_SCORES = frozenset(("scored", "skipped"))
"""Counters of a result that are of visitors, not of records. Who is skipped may be scored later, which takes
it back; `SlotMeter` counts a visitor once it is known what became of the score."""
_BROKER_MS = itemgetter(Entry._fields.index("broker_ms"))
_DELAY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(slots=True)
class _Second:
    """What was applied in one second."""

    second: int
    events: int = 0
    delays: Counter[int] = field(default_factory=Counter)
    """Delay in ms to about how many events had it."""


class Meter:
    """Counts of one worker. Not shared between processes; no visitor, product or session is a label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.redis = RedisHealth()
        """What is wrong with Redis, for all parts of the worker."""
        self._events = Count(
            "storepulse_worker_events", "Records by outcome", ["result"], registry=self.registry
        )
        self._rejected = Count(
            "storepulse_worker_rejected", "Dead letters by code", ["code"], registry=self.registry
        )
        self._rejected_of = Count(
            "storepulse_worker_rejected_of_sender",
            "Dead letters by sender, for senders named in the headers of their records",
            ["sender", "code"],
            registry=self.registry,
        )
        self._senders = SenderLabels()
        self._commits = Count(
            "storepulse_worker_commits",
            "Commits by the answer from Redis",
            ["verdict"],
            registry=self.registry,
        )
        self._delay = Histogram(
            "storepulse_worker_delay_seconds",
            "Time from broker timestamp to commit in Redis, for the oldest record of each commit",
            buckets=_DELAY_BUCKETS_S,
            registry=self.registry,
        )
        self.merge_timeouts = Count(
            "storepulse_worker_merge_timeouts",
            "Waits for a co-partitioned topic that were given up",
            registry=self.registry,
        )
        self.store_errors = Count(
            "storepulse_worker_store_errors", "Calls to Redis that got no answer", registry=self.registry
        )
        self.quarantined = Count(
            "storepulse_worker_quarantined",
            "Values in Redis that could not be read and were set aside",
            ["family"],
            registry=self.registry,
        )
        self.blocked = Gauge(
            "storepulse_worker_blocked_partitions",
            "Partitions blocked by a key of the wrong type, or for an upgrade",
            registry=self.registry,
        )
        self.rebalances = Count(
            "storepulse_worker_rebalances", "Assignments of partitions", registry=self.registry
        )
        self.published = Count(
            "storepulse_worker_published", "Outbox items published to Kafka", registry=self.registry
        )
        self.deletions = Count(
            "storepulse_worker_deletions", "Deletions of visitors applied", registry=self.registry
        )
        self._slots = SlotMeters(self.registry, _DELAY_BUCKETS_S)
        self._alerts = Count(
            "storepulse_worker_alerts",
            "Steps of alerts; those of a replay are recorded, not fired",
            ["kind", "state", "live"],
            registry=self.registry,
        )
        self.lag = Gauge(
            "storepulse_worker_lag_records", "Records not yet applied", ["partition"], registry=self.registry
        )
        self.progress_age = Gauge(
            "storepulse_worker_progress_age_seconds",
            "Time since the partition's last commit",
            ["partition"],
            registry=self.registry,
        )
        self.component_bytes = Gauge(
            "storepulse_worker_component_bytes",
            "Approximate memory of a component's state in all partitions",
            ["component"],
            registry=self.registry,
        )
        self.component_values = Gauge(
            "storepulse_worker_component_values",
            "Values of subjects that a component has in memory",
            ["component"],
            registry=self.registry,
        )
        self.filled_outboxes: set[int] = set()
        self.outboxes_filled = asyncio.Event()
        """Set while there is any of them."""
        self._window: deque[_Second] = deque()

    def count_batch(self, entries: Sequence[Entry], result: BatchResult, *, now_ms: int) -> None:
        """Count a batch that is now in Redis; without entries it is of scores alone."""
        self._count_result(result)
        if not entries:
            return
        arrivals = list(map(_BROKER_MS, entries))
        self._delay.observe(max(0, now_ms - min(arrivals)) / 1_000)
        second = now_ms // 1_000
        if not self._window or self._window[-1].second != second:
            self._window.append(_Second(second))
            while self._window[0].second <= second - WINDOW_S:
                self._window.popleft()
        newest = self._window[-1]
        newest.events += len(arrivals)
        weight = max(1, len(arrivals) // SAMPLED)
        for at_ms in arrivals[::weight]:
            newest.delays[now_ms - at_ms] += weight

    def count_records(self, result: BatchResult) -> None:
        """Count what records of a component's own topic came to, which is now in Redis."""
        self._count_result(result)
        self.deletions.inc(result.counters.get("deletions", 0))

    def _count_result(self, result: BatchResult) -> None:
        for name, number in result.counters.items():
            if name not in OF_SCORES:
                self._events.labels(name).inc(number)
        for letter in result.letters:
            self._rejected.labels(letter.code).inc()
            if letter.sender is not None:
                self._rejected_of.labels(self._senders.label_of(letter.sender), letter.code).inc()

    def slot(self, name: str) -> SlotMeter:
        """What is counted of a model slot."""
        return self._slots.of(name)

    def count_alerts(self, alerts: Sequence[Alert]) -> None:
        """Count steps of alerts that are now in Redis."""
        for alert in alerts:
            self._alerts.labels(alert.kind, alert.state.value, "yes" if alert.live else "no").inc()

    def count_status(self, status: CommitStatus) -> None:
        """Count one answer to a commit."""
        self._commits.labels(status.value).inc()

    def outbox_filled(self, partition: int) -> None:
        """Remember that a commit left something to publish."""
        self.filled_outboxes.add(partition)
        self.outboxes_filled.set()

    def recent(self, *, now_ms: int) -> tuple[float, float, float]:
        """Events per second, and delay p50 and p99 in ms, over the last whole seconds of the window."""
        first = now_ms // 1_000 - WINDOW_S
        delays: Counter[int] = Counter()
        events = 0
        for one in self._window:
            if first <= one.second < now_ms // 1_000:
                delays.update(one.delays)
                events += one.events
        total = delays.total()
        if not total:
            return 0.0, 0.0, 0.0
        return events / WINDOW_S, _quantile(delays, total, 0.5), _quantile(delays, total, 0.99)


def _quantile(delays: Counter[int], total: int, share: float) -> float:
    seen = 0
    for delay_ms in sorted(delays):
        seen += delays[delay_ms]
        if seen >= share * total:
            return float(max(0, delay_ms))
    return 0.0
