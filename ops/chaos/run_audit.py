"""The audit over a system once its traffic has ended: what was sent against what Redis has."""

from collections import Counter
from dataclasses import dataclass, field, replace

import polars as pl

from contracts.heartbeat import NEXT_ACTION
from contracts.topics import Topics
from ops.audit import (
    AlertAudit,
    CartAlertRules,
    ChurnAlertRules,
    LogCount,
    TotalsRules,
    audit_alerts,
    count_log,
    customer_differences,
    differences,
    distinct_letters,
    expected_customers,
    expected_items,
    expected_of,
    expected_sessions,
    has_settled,
    item_differences,
    log_ends,
    lost_and_doubled,
    open_replay,
    read_alerts,
    read_customers,
    read_items,
    read_lists,
    read_sessions,
    read_state,
    recommendation_differences,
    sent_events_of,
    session_differences,
    waiting_lists,
)
from ops.audit.archive import archive_differences, archived_rows
from ops.audit.customers import CustomerView
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic


@dataclass(frozen=True, slots=True)
class RunAudit:
    """Counts of a run. `sent` are records, `applied` distinct events; exact if there are no `differences`."""

    sent: int
    in_log: int
    broken: int
    rejected: int
    distinct: int
    applied: int
    lost: int
    doubled: int
    customers: int
    """Customers whose orders and money were compared with their records."""
    sessions: int
    """Sessions kept for recommendations that were compared with what was sent."""
    differences: list[str]
    alerts: AlertAudit
    lists: int | None = None
    """Visitors whose recommendations in the topic were compared with Redis; None without a publisher."""
    archived: int | None = None
    """Records that the archive has, each compared with what was sent; None without an archive."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Visitors left unscored for want of time, by kind, of the workers there at the end since their start."""

    @property
    def exact(self) -> bool:
        """Nothing lost, nothing twice, every total and every alert as expected."""
        alerts = self.alerts
        return not (self.lost or self.doubled or self.differences or alerts.lost or alerts.doubled)


def audit_run(
    system: SystemUnderTest, traffic: Traffic, timeout_s: float = 120.0, *, calm_from_ms: int | None = None
) -> RunAudit:
    """End the traffic, wait until all is applied, and compare; raises `NotRecovered` if it never is.

    From `calm_from_ms` on (wall clock) there was no fault: nobody with a cart or intent may be unscored.
    """
    traffic.finish()
    settings = system.settings
    ends = log_ends(settings)
    log = count_log(settings)
    system.await_that(
        lambda: has_settled(system.client, system.keys, ends, disorder_ms=settings.disorder_ms, live=True),
        timeout_s,
        f"every record to be applied and every session to end, logs end at {ends}",
    )
    system.await_that(lambda: not system.outbox_sizes(), 60.0, "the outboxes to be published")
    letters = distinct_letters(settings)
    rules = TotalsRules.of(settings, live=True)
    sent = traffic.send_log.frame()
    expected, found = expected_of(sent, rules), read_state(system.client, system.keys)
    expected.counters["rejected"] = traffic.broken
    if not system.counters_exact:
        del expected.counters["rejected"], expected.counters["duplicates"]
    unlike = differences(expected, found)
    if log.records != traffic.sent:
        unlike.append(f"log: {traffic.sent} records sent, {log.records} in the topics")
    if letters != log.broken:
        unlike.append(f"letters: {len(log.broken - letters)} missing, {len(letters - log.broken)} unknown")
    buyers = _await_customers(system, sent)
    if buyers:
        unlike += customer_differences(buyers, read_customers(system.client, system.keys))
    if settings.scoring and not system.earlier_workers:
        unlike += item_differences(expected_items(sent), read_items(system.client, system.keys))
    sessions = {} if system.earlier_workers else expected_sessions(sent, settings.idle_ms)
    unlike += session_differences(sessions, read_sessions(system.client, system.keys))
    lists = None
    if system.publisher is not None:
        lists = _await_lists(system)
        unlike += recommendation_differences(settings, system.client, system.keys)
    archived = None
    if system.archive is not None:
        system.finish_archive()
        archived = archived_rows(settings)
        unlike += archive_differences(settings, sent)
    lost, doubled = lost_and_doubled(expected, found)
    alerts = _audit_alerts(system, sent, log, calm_from_ms)
    left_out = _left_out(system)
    return RunAudit(
        sent=traffic.sent,
        in_log=log.records,
        broken=traffic.broken,
        rejected=len(letters),
        distinct=expected.counters["applied"],
        applied=found.counters["applied"],
        lost=lost,
        doubled=doubled,
        customers=len(buyers),
        sessions=sum(map(len, sessions.values())),
        differences=unlike + alerts.differences,
        alerts=alerts,
        lists=lists,
        archived=archived,
        left_out=left_out,
    )


def _await_lists(system: SystemUnderTest) -> int:
    """Wait until nobody waits for recommendations, and all are in the topic; how many lists there are."""

    def all_made() -> bool:
        return not waiting_lists(system.client, system.keys) and not system.outbox_sizes()

    system.await_that(all_made, 120.0, "every list of recommendations to be published")
    return len(read_lists(system.client, system.keys))


def _await_customers(system: SystemUnderTest, sent: pl.DataFrame) -> dict[str, CustomerView]:
    """The customers as expected, once every record about them is applied.

    Workers of an earlier version may have sent no such record: then nobody is expected.
    """
    if system.earlier_workers:
        return {}
    topic = Topics(system.settings.topic_prefix).customers
    ends = log_ends(system.settings, (topic,))

    def is_applied() -> bool:
        stored = [int(meta.get(f"off:{topic}", 0)) for meta in system.metas()]
        return all(stored[p] >= end for (_, p), end in ends.items())

    system.await_that(is_applied, 60.0, f"every record about customers to be applied, the logs end at {ends}")
    return expected_customers(sent)


def _left_out(system: SystemUnderTest) -> dict[str, int]:
    total: Counter[str] = Counter()
    for beat in system.heartbeats():
        for slot in beat.slots:
            if slot.slot == NEXT_ACTION:
                total.update(slot.left_out)
    return dict(total)


def _audit_alerts(
    system: SystemUnderTest, sent: pl.DataFrame, log: LogCount, calm_from_ms: int | None
) -> AlertAudit:
    arrived = sent.join(log.arrivals(), on="event_id", how="left")
    arrived = arrived.with_columns(pl.col("arrived_ms").fill_null(pl.col("at_ms")))
    return audit_alerts(
        read_alerts(system.client, system.settings),
        dict(sent_events_of(arrived)),
        CartAlertRules.of(system.settings, live=True),
        replace(ChurnAlertRules.of(system.settings), earlier_workers=system.earlier_workers),
        open_replay(system.settings, sent, log.copies(), read_again=not system.counters_exact),
        data_lost=system.data_lost,
        calm_from_ms=calm_from_ms,
    )
