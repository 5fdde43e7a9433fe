"""What the state keeps of a visitor's alerts between two decisions."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from contracts import subjects
from contracts.alerts import (
    CART_ABANDONED,
    CHURN_RISK,
    FLAT_KINDS,
    Alert,
    AlertState,
    Severity,
    VisitorDetail,
    decode_alert,
    encode_alert,
)


class KindState(NamedTuple):
    """What is kept of one kind of alerts.

    `episodes` counts those that fired in the session. `quiet_until_ms` is the end of the cool-down or of the
    last alert, whichever is later, `looked_ms` the last time a silence was looked at without another. `armed`
    is False where a rule waits for something before it fires again, and `intent` says that it wants to see
    all that the visitor does in this session; both end with the session.
    """

    episodes: int = 0
    quiet_until_ms: int = 0
    looked_ms: int = 0
    armed: bool = True
    intent: bool = False


class Watched(NamedTuple):
    """An alert that fired within the last day (`watch_ms` of the rules), and what was bought since.

    `is_counted` says that the comparison with the hold-out group counts it: live, and the visitor's first of
    the kind. `is_held_out` is the group. `revenue_minor` is in the shop's currency.
    """

    kind: str
    fired_ms: int
    model: str = ""
    is_counted: bool = False
    is_held_out: bool = False
    purchases: int = 0
    revenue_minor: int = 0


WATCHED = "watched"
"""The name of what is watched among the other values of a visitor's state."""
NOTHING_KEPT = KindState()
_NO_KINDS: Mapping[str, KindState] = {}


class VisitorAlerts(NamedTuple):
    """Open alerts of a visitor and what keeps others from firing.

    `session` and `session_start_ms` are of the session that `kinds` speak of, which have the state of each
    kind of which anything is kept, by its name. Late events may renumber sessions: what tells one from the
    next is its start, and the number never goes back, so no id is ever made twice. `live` says whether the
    newest action arrived about when it happened. Open alerts have no reasons, and their detail in brief.
    `watched` are the alerts of the last day, `counted` the kinds of which one was counted, now or earlier.
    """

    session: int = 0
    session_start_ms: int = 0
    live: bool = True
    kinds: Mapping[str, KindState] = _NO_KINDS
    open: tuple[Alert, ...] = ()
    watched: tuple[Watched, ...] = ()
    counted: tuple[str, ...] = ()

    def open_of(self, kind: str) -> Alert | None:
        """The open alert of a kind; there is at most one."""
        for alert in self.open:
            if alert.kind == kind:
                return alert
        return None

    def of(self, kind: str) -> KindState:
        """What is kept of a kind."""
        return self.kinds.get(kind, NOTHING_KEPT)

    def put(self, kind: str, kept: KindState) -> "VisitorAlerts":
        """The alert state with this state of a kind."""
        current = self.kinds.get(kind, NOTHING_KEPT)
        if kept is current or kept == current:
            return self
        kinds = {**self.kinds, kind: kept}
        if kept == NOTHING_KEPT:
            del kinds[kind]
        return self._replace(kinds=kinds)

    def open_too(self, alert: Alert) -> "VisitorAlerts":
        """The alert state with one more open alert; those the blob has side by side come first."""
        found = sorted((*self.open, alert), key=lambda each: each.kind not in FLAT_KINDS)
        return self._replace(open=tuple(found))


NO_ALERTS = VisitorAlerts()
_FIELDS_BEFORE_STARTS = 8
"""Of the alert state in a blob of format 2: its session has no start, so the next action begins another."""
_FLAT_FIELDS = 9
"""Of an alert state with nothing of kinds from outside, which every version reads."""


def pack_alerts(alert_state: VisitorAlerts) -> tuple[Any, ...]:
    """The alert state as plain values for msgpack; empty if it was never used.

    What is kept of kinds from outside the product is one more field at the end, there only if anything is.
    What is watched lies elsewhere (`pack_watched`).
    """
    if alert_state == NO_ALERTS:
        return ()
    session, start_ms, live, kinds, opened, _, _ = alert_state
    churn, cart = kinds.get(CHURN_RISK, NOTHING_KEPT), kinds.get(CART_ABANDONED, NOTHING_KEPT)
    flat = (
        session, start_ms, (churn.episodes, cart.episodes), churn.armed, churn.intent,
        (churn.quiet_until_ms, cart.quiet_until_ms), churn.looked_ms, live,
        tuple([_pack_open(alert) for alert in opened if alert.kind in FLAT_KINDS]),
    )  # fmt: skip
    others = {kind: tuple(kept) for kind, kept in kinds.items() if kind not in FLAT_KINDS}
    others_open = tuple([encode_alert(alert) for alert in opened if alert.kind not in FLAT_KINDS])
    return (*flat, (others, others_open)) if others or others_open else flat


def unpack_alerts(fields: Sequence[Any]) -> VisitorAlerts:
    """The alert state in what `pack_alerts` gave, lists instead of tuples too."""
    if not fields:
        return NO_ALERTS
    if len(fields) == _FIELDS_BEFORE_STARTS:
        fields = (fields[0], 0, *fields[1:])
    session, start_ms, episodes, armed, intent, quiet_until_ms, looked_ms, live, opened = fields[
        :_FLAT_FIELDS
    ]
    others, others_open = fields[_FLAT_FIELDS] if len(fields) > _FLAT_FIELDS else ({}, ())
    kinds = {kind: KindState(*kept) for kind, kept in others.items()}
    if intent or not armed or looked_ms or episodes[0] or quiet_until_ms[0]:
        kinds[CHURN_RISK] = KindState(episodes[0], quiet_until_ms[0], looked_ms, armed, intent)
    if episodes[1] or quiet_until_ms[1]:
        kinds[CART_ABANDONED] = KindState(episodes[1], quiet_until_ms[1])
    still_open = tuple([_open_alert(alert) for alert in opened])
    if others_open:
        still_open += tuple([decode_alert(alert) for alert in others_open])
    return VisitorAlerts(session, start_ms, live, kinds, still_open)


def pack_watched(alert_state: VisitorAlerts) -> tuple[Any, ...]:
    """What is watched as plain values for msgpack; empty if nothing is, nor ever was."""
    if not alert_state.watched and not alert_state.counted:
        return ()
    return tuple([tuple(each) for each in alert_state.watched]), alert_state.counted


def put_watched(alert_state: VisitorAlerts, fields: Sequence[Any]) -> VisitorAlerts:
    """The alert state with what `pack_watched` gave."""
    watched, counted = fields
    return alert_state._replace(watched=tuple([Watched(*each) for each in watched]), counted=tuple(counted))


def _pack_open(alert: Alert) -> tuple[Any, ...]:
    """An open alert as plain values; its reasons and its offer, which it has none of, close the array."""
    detail: VisitorDetail = alert.detail
    return (
        alert.alert_id, alert.kind, alert.state, alert.severity, alert.subject.id, detail.session_id,
        detail.session, detail.session_start_ms, alert.episode, alert.at_ms, alert.fired_ms,
        detail.cart_lines, detail.cart_value_minor, detail.currency, detail.purchase, alert.threshold,
        alert.model, alert.live, (), None,
    )  # fmt: skip


def _open_alert(fields: Sequence[Any]) -> Alert:
    (
        alert_id, kind, state, severity, user_id, session_id, session, start_ms, episode, at_ms, fired_ms,
        lines, value_minor, currency, purchase, threshold, model, live, _, _,
    ) = fields  # fmt: skip
    return Alert(
        alert_id, kind, AlertState(state), Severity(severity), subjects.visitor(user_id), episode, at_ms,
        fired_ms, live, VisitorDetail(session_id, session, start_ms, lines, value_minor, currency, purchase),
        model, threshold,
    )  # fmt: skip
