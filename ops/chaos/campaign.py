"""A chaos campaign: faults drawn at random for as long as asked, under load, then the audit."""

import random
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from redis.exceptions import RedisError

from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.chaos.faults import ARCHIVE_FAULTS, FAULTS, PUBLISHER_FAULTS, Fault
from ops.chaos.run_audit import RunAudit, audit_run
from ops.chaos.system import SETTINGS, NotRecovered, SystemUnderTest, open_system
from ops.chaos.traffic import Load, Traffic
from ops.stack.broker import KafkaBroker
from ops.stack.topics import ensure_topics

RECOVERY_LIMIT_S = 30.0
FAULT_LIMIT_S = 120.0
"""A fault that has not healed by then ends the campaign."""
ARCHIVE_FLUSH_S = 1.0
SETTLE_S, CALM_S = 10.0, 10.0
"""With a budget for scores the load goes on after the last fault: so long for all to be as before it, workers
joined and backlogs done, and so long in which nobody with a cart or intent may stay without a score."""
PUBLISH_INTERVAL_S = 5.0
_WORKERS = 2
_PAUSE_S = (1.0, 4.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: for `minutes`, with faults and events drawn by `seed`."""

    minutes: float
    seed: int
    events_per_s: float = 2_000.0
    kinds: tuple[str, ...] = tuple(FAULTS)
    archive: bool = False
    """Whether an archive follows the topics, is killed as well, and is compared with what was sent."""
    scoring_budget_ms: int = 0
    """Time for the scores of a round, so that visitors wait or are left out; 0: all are scored."""
    publish: bool = False
    """Whether recommendations are published, by a publisher that is killed as well, and compared."""

    @property
    def faults(self) -> dict[str, Fault]:
        """Those to draw from."""
        chosen = {kind: FAULTS[kind] for kind in self.kinds}
        chosen |= ARCHIVE_FAULTS if self.archive else {}
        return chosen | (PUBLISHER_FAULTS if self.publish else {})


@dataclass(slots=True)
class Campaign:
    """What happened so far. `recoveries_s` has, per kind of fault, the seconds until all was well again.

    Well means: every partition has a commit that was begun after the fault, or, for a killed broker, after it
    served again. The time until killed services are started again is part of it.
    """

    plan: Plan
    began_s: float = field(default_factory=time.monotonic)
    doing: str = "starting"
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)
    sent: int = 0
    applied: int = 0
    audit: RunAudit | None = None
    failure: str = ""

    @property
    def slowest_s(self) -> float:
        """The longest recovery."""
        return max((s for times in self.recoveries_s.values() for s in times), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether every total is exact and every recovery was within `RECOVERY_LIMIT_S`."""
        exact = self.audit is not None and self.audit.exact
        return exact and not self.failure and self.slowest_s <= RECOVERY_LIMIT_S


def run_campaign(plan: Plan, folder: Path, on_change: Callable[[Campaign], None]) -> Campaign:
    """Run it on services of its own under `folder`; raises `StartError` where they cannot start."""
    campaign = Campaign(plan)
    on_change(campaign)
    broker = KafkaBroker(folder / "kafka")
    broker.start()
    try:
        settings = _settings(broker.bootstrap, plan)
        if plan.archive:
            update = {"archive": str(folder / "archive"), "archive_flush_s": ARCHIVE_FLUSH_S}
            settings = settings.model_copy(update=update)
        if plan.publish:
            settings = settings.model_copy(update={"recommendation_interval_s": PUBLISH_INTERVAL_S})
        with open_system(settings, folder, workers=_WORKERS, broker=broker) as system:
            _inject_and_audit(campaign, system, on_change)
    finally:
        broker.kill()
    return campaign


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie; the largest one for few values."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]


def _settings(bootstrap: str, plan: Plan) -> Settings:
    name = f"chaos{uuid.uuid4().hex[:8]}"
    fields: dict[str, Any] = {
        "bootstrap": bootstrap,
        "namespace": name,
        "topic_prefix": f"{name}.",
        "group": name,
        **SETTINGS,
        "scoring_budget_ms": plan.scoring_budget_ms,
    }
    settings = Settings.model_validate(fields)
    return settings.model_copy(update={"partitions": ensure_topics(settings)})


def _inject_and_audit(
    campaign: Campaign, system: SystemUnderTest, on_change: Callable[[Campaign], None]
) -> None:
    plan = campaign.plan
    faults = plan.faults
    draw = random.Random(plan.seed)
    traffic = Traffic(system.settings, Load(plan.events_per_s), seed=plan.seed)
    traffic.start()

    def show(doing: str) -> None:
        campaign.doing = doing
        campaign.sent, campaign.applied = traffic.sent, _applied(system)
        on_change(campaign)

    try:
        system.await_commits(0, FAULT_LIMIT_S)
        campaign.began_s = time.monotonic()
        kinds: list[str] = []
        while time.monotonic() - campaign.began_s < plan.minutes * 60:
            if not kinds:  # every kind comes equally often, in an order of its own each time
                kinds = draw.sample(tuple(faults), len(faults))
            kind = kinds.pop()
            show(kind)
            took_s = _recovery_s(system, faults[kind], draw)
            campaign.recoveries_s.setdefault(kind, []).append(took_s)
            show("load")
            time.sleep(draw.uniform(*_PAUSE_S))
        calm_from_ms = None
        if plan.scoring_budget_ms:
            show("calm")
            time.sleep(SETTLE_S)
            calm_from_ms = wall_clock_ms()
            time.sleep(CALM_S)
        show("counting")
        campaign.audit = audit_run(system, traffic, calm_from_ms=calm_from_ms)
        show("done")
    except (NotRecovered, RuntimeError, KafkaException) as exc:
        campaign.failure = str(exc)
    finally:
        traffic.halt()


def _recovery_s(system: SystemUnderTest, fault: Fault, draw: random.Random) -> float:
    injection = fault(system, draw)
    system.await_commits(injection.recovered_after_ms, FAULT_LIMIT_S)
    return (injection.recovered_s or time.monotonic()) - injection.began_s


def _applied(system: SystemUnderTest) -> int:
    try:
        return system.counter("applied")
    except RedisError:
        return 0
