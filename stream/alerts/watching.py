"""What visitors buy for a day (`alert_watch_ms`) after an alert, whether or not it is still open."""

from contracts.visitor_alerts import VisitorAlerts
from stream.alerts.gate import Gate


def note_purchase(
    alert_state: VisitorAlerts, at_ms: int, watch_ms: int, revenue_minor: int = 0
) -> VisitorAlerts:
    """The alert state after a purchase, which counts for every watched alert that had fired by then.

    `revenue_minor` is in the shop's currency; 0 where it is not known.
    """
    watched = [
        each._replace(purchases=each.purchases + 1, revenue_minor=each.revenue_minor + revenue_minor)
        if each.fired_ms <= at_ms < each.fired_ms + watch_ms
        else each
        for each in alert_state.watched
    ]
    return alert_state._replace(watched=tuple(watched))


def end_watched(alert_state: VisitorAlerts, at_ms: int, watch_ms: int, gate: Gate) -> VisitorAlerts:
    """The alert state once the day after its oldest alerts is over, which the gate is told."""
    ended = [each for each in alert_state.watched if each.fired_ms + watch_ms <= at_ms]
    gate.note_ended(ended)
    return alert_state._replace(watched=alert_state.watched[len(ended) :])
