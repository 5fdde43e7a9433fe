"""Making and closing alerts about visitors: ids, episodes and cool-downs, whatever the kind."""

from contracts import subjects
from contracts.alerts import Alert, AlertState, brief_detail, make_alert_id
from contracts.visitor_alerts import VisitorAlerts, Watched
from stream.alerts.hold_out import HoldOut
from stream.alerts.rules import Firing, VisitorRule, VisitorView


def fire(
    alert_state: VisitorAlerts,
    view: VisitorView,
    rule: VisitorRule,
    firing: Firing,
    hold_out: HoldOut,
    *,
    is_watched: bool,
) -> tuple[VisitorAlerts, Alert]:
    """The alert of this firing, and the alert state that has it open and its cool-down begun.

    Of a visitor who is held out it is recorded only, as one that comes too late is. If it `is_watched`, what
    is bought after it will be counted.
    """
    kind, kept = rule.kind, alert_state.of(rule.kind)
    episode = kept.episodes + 1
    is_held_out = hold_out.holds(view.user_id)
    live = alert_state.live and not is_held_out
    alert = Alert(
        make_alert_id(view.user_id, kind, alert_state.session, episode, view.first_ms),
        kind, AlertState.FIRING, firing.severity, subjects.visitor(view.user_id), episode, firing.at_ms,
        firing.at_ms, live, firing.detail, firing.model, firing.threshold, firing.reasons,
    )  # fmt: skip
    # At least a millisecond: what has fired at a moment must not fire at the very same one again.
    quiet_ms = firing.at_ms + max(1, rule.cooldown_ms)
    kept = rule.after_firing(kept)._replace(episodes=episode, quiet_until_ms=quiet_ms)
    still_open = alert._replace(reasons=(), detail=brief_detail(kind, firing.detail))
    after = alert_state.put(kind, kept).open_too(still_open)
    if not is_watched:
        return after, alert
    is_counted = alert_state.live and kind not in alert_state.counted
    watched = Watched(kind, firing.at_ms, firing.model or "", is_counted, is_held_out)
    counted = (*after.counted, kind) if is_counted else after.counted
    in_order = tuple(sorted((*after.watched, watched), key=lambda each: each.fired_ms))
    return after._replace(watched=in_order, counted=counted), alert


def close(
    alert_state: VisitorAlerts, alert: Alert, state: AlertState, at_ms: int
) -> tuple[VisitorAlerts, Alert]:
    """The last step of an open alert, and the alert state without it.

    Moments that passed while it was open are over: nothing fires for them afterwards.
    """
    at_ms = max(at_ms, alert.fired_ms)
    kept = alert_state.of(alert.kind)
    after = alert_state._replace(open=tuple(other for other in alert_state.open if other is not alert))
    after = after.put(alert.kind, kept._replace(quiet_until_ms=max(kept.quiet_until_ms, at_ms)))
    return after, alert._replace(state=state, at_ms=at_ms)
