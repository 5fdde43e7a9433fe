"""What must hold of a site under load: it goes on counting, and in the end all of it is exact."""

from ops.chaos.run_audit import Verdict, judge
from ops.chaos.system import Site
from ops.chaos.traffic import Traffic


def await_load(site: Site) -> None:
    """Wait until 2,000 more events are applied."""
    before = site.counter("applied")
    site.await_that(lambda: site.counter("applied") > before + 2_000, 60, "2,000 events to be applied")


def assert_exact(site: Site, traffic: Traffic, *, replayed: int = 100) -> Verdict:
    """End the traffic and compare all there is of counts and alerts with what was sent; returns the verdict.

    `replayed` are the steps of alerts a replay must know at least; of visitors whose events came late, as
    after a broker was away, it knows nothing.
    """
    verdict = judge(site, traffic)
    assert verdict.differences == [], "\n".join(verdict.differences)
    assert (verdict.lost, verdict.doubled) == (0, 0)
    assert verdict.applied == verdict.distinct > 5_000
    assert verdict.rejected == verdict.broken > 0
    assert (verdict.alerts.lost, verdict.alerts.doubled) == (0, 0)
    assert verdict.alerts.fired == verdict.alerts.resolved + verdict.alerts.expired
    assert verdict.alerts.fired > 200, "or there is little to lose"
    assert verdict.alerts.expected >= replayed
    churn = verdict.alerts.churn
    assert (churn.lost, churn.invented, churn.unlike) == (0, 0, 0)
    return verdict


def assert_replayed(verdict: Verdict, *, share: float = 0.5) -> None:
    """So much of the churn alerts must have been scored again, and some must be such as have to be there."""
    churn = verdict.alerts.churn
    assert churn.fired > 100, "or there is little to lose"
    assert churn.replayed >= share * churn.fired, churn.exempt
    assert churn.required > 10, churn.exempt
