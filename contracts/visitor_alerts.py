"""What the state keeps of a visitor's alerts between two decisions."""

from typing import Any, NamedTuple

from contracts import subjects
from contracts.alerts import Alert, AlertState, Severity, VisitorDetail


class VisitorAlerts(NamedTuple):
    """Open alerts of a visitor and what keeps others from firing.

    Tuples of two are by `contracts.alerts.FLAT_KINDS`. `session` and `session_start_ms` are of the session
    that episodes, `armed` and `intent` speak of. Late events may renumber sessions: what tells one from the
    next is its start, and the number never goes back, so no id is ever made twice. `armed` is False from a
    churn alert until the purchase probability has been up again; `intent` says that it was high earlier in
    the session. `quiet_until_ms` is the end of the cool-down or of the last alert, whichever is later,
    `looked_ms` the last time a silence was looked at, and `live` whether the newest action arrived about
    when it happened. Open alerts have no reasons and no offer.
    """

    session: int = 0
    session_start_ms: int = 0
    episodes: tuple[int, int] = (0, 0)
    armed: bool = True
    intent: bool = False
    quiet_until_ms: tuple[int, int] = (0, 0)
    looked_ms: int = 0
    live: bool = True
    open: tuple[Alert, ...] = ()

    def open_of(self, kind: str) -> Alert | None:
        """The open alert of a kind; there is at most one."""
        for alert in self.open:
            if alert.kind == kind:
                return alert
        return None


NO_ALERTS = VisitorAlerts()
_FIELDS_BEFORE_STARTS = 8
"""Of the alert state in a blob of format 2: its session has no start, so the next action begins another."""


def pack_alerts(alert_state: VisitorAlerts) -> tuple[Any, ...]:
    """The alert state as plain values for msgpack; empty if it was never used."""
    if alert_state == NO_ALERTS:
        return ()
    return (*alert_state[:-1], tuple([_pack_open(alert) for alert in alert_state.open]))


def unpack_alerts(fields: tuple[Any, ...]) -> VisitorAlerts:
    """The alert state in what `pack_alerts` gave, lists instead of tuples too."""
    if not fields:
        return NO_ALERTS
    if len(fields) == _FIELDS_BEFORE_STARTS:
        fields = (fields[0], 0, *fields[1:])
    session, start_ms, episodes, armed, intent, quiet_until_ms, looked_ms, live, alerts = fields
    return VisitorAlerts(
        session, start_ms, (episodes[0], episodes[1]), armed, intent, (quiet_until_ms[0], quiet_until_ms[1]),
        looked_ms, live, tuple([_open_alert(alert) for alert in alerts]),
    )  # fmt: skip


def _pack_open(alert: Alert) -> tuple[Any, ...]:
    """An open alert as plain values; its reasons and its offer, which it has none of, close the array."""
    detail: VisitorDetail = alert.detail
    return (
        alert.alert_id, alert.kind, alert.state, alert.severity, alert.subject.id, detail.session_id,
        detail.session, detail.session_start_ms, alert.episode, alert.at_ms, alert.fired_ms,
        detail.cart_lines, detail.cart_value_minor, detail.currency, detail.purchase, alert.threshold,
        alert.model, alert.live, (), None,
    )  # fmt: skip


def _open_alert(fields: tuple[Any, ...]) -> Alert:
    (
        alert_id, kind, state, severity, user_id, session_id, session, start_ms, episode, at_ms, fired_ms,
        lines, value_minor, currency, purchase, threshold, model, live, _, _,
    ) = fields  # fmt: skip
    return Alert(
        alert_id, kind, AlertState(state), Severity(severity), subjects.visitor(user_id), episode, at_ms,
        fired_ms, live, VisitorDetail(session_id, session, start_ms, lines, value_minor, currency, purchase),
        model, threshold,
    )  # fmt: skip
