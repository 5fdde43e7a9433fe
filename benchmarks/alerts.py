"""Delay from an event to the alert it fires, readable in Kafka, under a paced stream of live events."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from benchmarks.alert_reader import AlertReader, Sighting
from benchmarks.heartbeats import Scored, await_model, measure_scored
from benchmarks.pace import SETTLE_S, quantile, send_paced
from benchmarks.race import START_TIMEOUT_S, applied_counter, await_applied, start_contender
from benchmarks.services import Services, create_topics, drop_state, drop_topics, make_settings
from benchmarks.shop_log import Delivered
from benchmarks.throughput import Contender
from contracts.alerts import CHURN_RISK, AlertState
from contracts.clock import wall_clock_ms
from contracts.events import Event
from contracts.keys import Keys
from contracts.settings import Settings
from ops.stack.child import Child

MANY_ALERTS: dict[str, Any] = {
    "churn_fire": 0.9,
    "churn_rearm": 0.95,
    "learning": False,
    "alert_budgets": "",
    "alerts_per_visitor": 1_000,
}
"""Settings with which nearly every visitor who puts something into the cart fires an alert.

None is withheld: a worker that learns fires none before its model has proved itself.
"""

Moment = tuple[str, int]
"""Visitor and event time (ms)."""


class AlertDelays(NamedTuple):
    """Delays in ms, ascending: from the event's broker timestamp to the alert's, and until it was read."""

    stored_ms: list[int]
    read_ms: list[int]


@dataclass(frozen=True, slots=True)
class AlertsRow:
    """Delays from the broker timestamp of an event to the alert, in ms, and what they were measured on."""

    title: str
    sent_per_s: float
    alerts: int
    stored_p50_ms: float
    stored_p99_ms: float
    p50_ms: float
    p99_ms: float
    scored: Scored | None
    """None for the floor, which scores nobody."""

    @property
    def is_floor(self) -> bool:
        """Whether it answers every cart with an alert and does nothing else."""
        return self.scored is None


@dataclass(slots=True)
class Stamps:
    """Broker timestamps of stored events."""

    found: dict[Moment, int] = field(default_factory=dict)
    failed: int = 0

    def taker(self, event: Event) -> Delivered:
        """librdkafka's delivery report for this event."""
        return partial(self._take, (event.user_id, event.event_time_ms))

    def _take(self, moment: Moment, error: Any, message: Any) -> None:
        if error is not None:
            self.failed += 1
            return
        # Of two events of a visitor in one millisecond the first: no delay looks shorter than it was.
        self.found.setdefault(moment, message.timestamp()[1])


def find_delays(sightings: Sequence[Sighting], stamps: Mapping[Moment, int], *, from_ms: int) -> AlertDelays:
    """Delays of the churn risks fired by events that the broker stored from `from_ms` on.

    Copies of an alert count once, the first. Raises `ValueError` for an alert of no event at that moment.
    """
    delays: dict[str, tuple[int, int]] = {}
    for sighting in sightings:
        alert = sighting.alert
        if alert.kind != CHURN_RISK or alert.state is not AlertState.FIRING:
            continue
        event_ms = stamps.get((alert.subject.id, alert.at_ms))
        if event_ms is None:
            raise ValueError(
                f"alert {alert.alert_id} of {alert.subject.id} at {alert.at_ms} belongs to no event"
            )
        if event_ms >= from_ms:
            delays.setdefault(alert.record_id, (sighting.stored_ms - event_ms, sighting.seen_ms - event_ms))
    stored, read = zip(*delays.values(), strict=True) if delays else ((), ())
    return AlertDelays(sorted(stored), sorted(read))


def measure_alerts(
    services: Services,
    contender: Contender,
    *,
    rate: int,
    seconds: float,
    progress: Callable[[int], None],
) -> AlertsRow:
    """Send `rate` events/s for `seconds` to a contender and date the alerts they fire.

    It is one worker that scores, or the floor, which makes an alert of every cart. Raises `RuntimeError` if
    nothing was scored, no alert fired, or an alert was not published.
    """
    settings = make_settings(services, scoring=True, **MANY_ALERTS)
    # Without the second look after a silence: it fires alerts that no event fires.
    settings = settings.model_copy(update={"look_again_ms": settings.idle_ms})
    create_topics(settings)
    child = start_contender(services, settings, contender.module)
    reader = AlertReader(settings)
    stamps = Stamps()
    try:
        if contender.scoring:
            await_model(services.client, settings, child)
        reader.start()
        applied = applied_counter(services.client, settings)
        warm = send_paced(settings, stamps.taker, rate=500, seconds=1.0, progress=lambda _: None, seed=11)
        await_applied(applied, warm, child)
        from_ms = wall_clock_ms() + int(SETTLE_S * 1_000)
        began_s = time.monotonic()
        sent = send_paced(settings, stamps.taker, rate=rate, seconds=seconds + SETTLE_S, progress=progress)
        sent_per_s = sent / (time.monotonic() - began_s)
        if stamps.failed:
            raise RuntimeError(f"{stamps.failed} records were not stored")
        await_applied(applied, warm + sent, child)
        _await_published(services, settings, child)
        sightings = reader.finish(START_TIMEOUT_S)
        scored = measure_scored(services.client, settings, child) if contender.scoring else None
    finally:
        reader.stop()
        child.kill()
        drop_state(services, settings)
        drop_topics(settings)
    stored_ms, read_ms = find_delays(sightings, stamps.found, from_ms=from_ms)
    if not read_ms:
        raise RuntimeError(f"no alert fired in {sent} events")
    return AlertsRow(
        contender.title, sent_per_s, len(read_ms), quantile(stored_ms, 0.5), quantile(stored_ms, 0.99),
        quantile(read_ms, 0.5), quantile(read_ms, 0.99), scored,
    )  # fmt: skip


def _await_published(services: Services, settings: Settings, child: Child) -> None:
    """Wait until the outboxes are empty."""
    keys = Keys(settings.namespace, settings.partitions)
    deadline = time.monotonic() + START_TIMEOUT_S
    while any(services.client.xlen(keys.outbox(p)) for p in range(settings.partitions)):
        if not child.alive or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did not publish its outboxes; {child.log_tail()}")
        time.sleep(0.05)
