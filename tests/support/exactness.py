"""What must hold of a system under load: it goes on counting, and in the end all of it is exact."""

from ops.chaos.run_audit import RunAudit, audit_run
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import Traffic


def await_load(system: SystemUnderTest) -> None:
    """Wait until 2,000 more events are applied."""
    before = system.counter("applied")
    system.await_that(lambda: system.counter("applied") > before + 2_000, 60, "2,000 events to be applied")


def assert_exact(system: SystemUnderTest, traffic: Traffic, *, replayed: int = 100) -> RunAudit:
    """End the traffic and compare all there is of counts and alerts with what was sent; returns the audit.

    `replayed` are the steps of alerts a replay must know at least; of visitors whose events came late, as
    after a broker was away, it knows nothing.
    """
    audit = audit_run(system, traffic)
    assert audit.differences == [], "\n".join(audit.differences)
    assert (audit.lost, audit.doubled) == (0, 0)
    assert audit.applied == audit.distinct > 5_000
    assert audit.rejected == audit.broken > 0
    assert system.earlier_workers or audit.sessions > 300
    assert (audit.alerts.lost, audit.alerts.doubled) == (0, 0)
    assert audit.alerts.fired == audit.alerts.resolved + audit.alerts.expired
    assert audit.alerts.fired > 200, "or there is little to lose"
    assert audit.alerts.expected >= replayed
    churn = audit.alerts.churn
    assert (churn.lost, churn.invented, churn.unlike) == (0, 0, 0)
    return audit


def assert_replayed(audit: RunAudit, *, share: float = 0.5) -> None:
    """So much of the churn alerts must have been scored again, and some must be such as have to be there."""
    churn = audit.alerts.churn
    assert churn.fired > 100, "or there is little to lose"
    assert churn.replayed >= share * churn.fired, churn.exempt
    assert churn.required > 10, churn.exempt
