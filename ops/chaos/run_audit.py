"""The verdict over a site once its traffic has ended: what was sent against what Redis has."""

from dataclasses import dataclass

import polars as pl

from ops.audit import (
    AlertVerdict,
    CartRules,
    ChurnRules,
    LogCount,
    Rules,
    count_log,
    deeds_of,
    differences,
    distinct_letters,
    expected_of,
    has_settled,
    judge_alerts,
    log_ends,
    lost_and_doubled,
    open_replay,
    read_alerts,
    read_state,
)
from ops.chaos.system import Site
from ops.chaos.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of a run. `sent` are records, `applied` distinct events; exact if there are no `differences`."""

    sent: int
    in_log: int
    broken: int
    rejected: int
    distinct: int
    applied: int
    lost: int
    doubled: int
    differences: list[str]
    alerts: AlertVerdict

    @property
    def exact(self) -> bool:
        """Nothing lost, nothing twice, every total and every alert as expected."""
        alerts = self.alerts
        return not (self.lost or self.doubled or self.differences or alerts.lost or alerts.doubled)


def judge(site: Site, traffic: Traffic, timeout_s: float = 120.0) -> Verdict:
    """End the traffic, wait until all is applied, and compare; raises `NotRecovered` if it never is."""
    traffic.finish()
    settings = site.settings
    ends = log_ends(settings)
    log = count_log(settings)
    site.await_that(
        lambda: has_settled(site.client, site.keys, ends, disorder_ms=settings.disorder_ms, live=True),
        timeout_s,
        f"every record to be applied and every session to end, logs end at {ends}",
    )
    site.await_that(lambda: not site.outbox_sizes(), 60.0, "the outboxes to be published")
    letters = distinct_letters(settings)
    rules = Rules(
        settings.partitions,
        settings.idle_ms,
        settings.disorder_ms,
        settings.trend_half_life_s * 1_000,
        live=True,
    )
    sent = traffic.ledger.frame()
    expected, found = expected_of(sent, rules), read_state(site.client, site.keys)
    expected.counters["rejected"] = traffic.broken
    if not site.counters_exact:
        del expected.counters["rejected"], expected.counters["duplicates"]
    unlike = differences(expected, found)
    if log.records != traffic.sent:
        unlike.append(f"log: {traffic.sent} records sent, {log.records} in the topics")
    if letters != log.broken:
        unlike.append(f"letters: {len(log.broken - letters)} missing, {len(letters - log.broken)} unknown")
    lost, doubled = lost_and_doubled(expected, found)
    alerts = _judge_alerts(site, sent, log)
    return Verdict(
        sent=traffic.sent,
        in_log=log.records,
        broken=traffic.broken,
        rejected=len(letters),
        distinct=expected.counters["applied"],
        applied=found.counters["applied"],
        lost=lost,
        doubled=doubled,
        differences=unlike + alerts.differences,
        alerts=alerts,
    )


def _judge_alerts(site: Site, sent: pl.DataFrame, log: LogCount) -> AlertVerdict:
    arrived = sent.join(log.arrivals(), on="event_id", how="left")
    arrived = arrived.with_columns(pl.col("arrived_ms").fill_null(pl.col("at_ms")))
    return judge_alerts(
        read_alerts(site.client, site.settings),
        dict(deeds_of(arrived)),
        CartRules.of(site.settings, live=True),
        ChurnRules.of(site.settings),
        open_replay(site.settings, sent, log.copies(), read_again=not site.counters_exact),
        data_lost=site.data_lost,
    )
