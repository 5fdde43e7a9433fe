"""Alerts as found against what must be: none lost, none twice, and every lifetime in order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.alerts import (
    CART_ABANDONED,
    Alert,
    AlertState,
    InvalidAlert,
    VisitorDetail,
    brief_detail,
    decode_alert,
)
from ops.audit.abandoned import CartAlertRules, CartStep, SentEvent, abandoned_carts, is_clear
from ops.audit.churn import ChurnAlertRules, end_faults
from ops.audit.churn_replay import ChurnAudit, ScoreRecords, audit_churn
from ops.audit.recorded_alerts import RecordedAlerts
from ops.audit.scores import ScoreReplay

_SHOWN = 5


@dataclass(slots=True)
class AlertAudit:
    """Counts of steps. `sent` are distinct ones in the log of alerts.

    `expected` are the steps of abandoned carts that follow from the events alone, of visitors of whom nothing
    came so late that it matters; `unclear` counts the other visitors. `lost` and `doubled` are over all
    comparisons there are: expected, counted, in the log, in the topic, open.
    """

    sent: int = 0
    expected: int = 0
    fired: int = 0
    resolved: int = 0
    expired: int = 0
    repeated: int = 0
    """Records in the topic that are copies of an earlier one."""
    unclear: int = 0
    lost: int = 0
    doubled: int = 0
    differences: list[str] = field(default_factory=list)
    churn: ChurnAudit = field(default_factory=ChurnAudit)
    """Of the alerts among `fired` that needed a model."""

    def note(self, what: str, ids: Sequence[str] | set[str]) -> int:
        """Put ids that should not be into words; returns how many there are."""
        if ids:
            shown = ", ".join(sorted(ids)[:_SHOWN])
            self.differences.append(f"alerts: {len(ids)} {what}, as {shown}")
        return len(ids)


def audit_alerts(
    found: RecordedAlerts,
    sent_events: Mapping[str, Sequence[SentEvent]],
    rules: CartAlertRules,
    churn: ChurnAlertRules,
    replay: ScoreReplay | None,
    *,
    data_lost: bool = False,
    calm_from_ms: int | None = None,
) -> AlertAudit:
    """The audit over everything found, once nothing is on its way any more.

    After Redis lost data (`data_lost`) what was decided before may have been decided otherwise afterwards:
    the topic then has steps the log has not, and copies that differ. Log, counters and state still agree.
    Without a `replay` no score is checked. `calm_from_ms` is as in `ScoreRecords`.
    """
    audit = AlertAudit()
    log = _decoded(audit, "log", found.log)
    topic = _decoded(audit, "topic", found.topic)
    _compare_copies(audit, found, log, topic, data_lost=data_lost)
    _compare_counts(audit, found, log)
    _check_lifetimes(audit, log, found.open_ids)
    steps = abandoned_carts(sent_events, rules)
    clear = {user for user, mine in sent_events.items() if is_clear(mine, steps.get(user, ()), rules)}
    audit.unclear = len(sent_events) - len(clear)
    for where, records in (("log", log), ("topic", topic)):
        _compare_carts(audit, where, records, {u: s for u, s in steps.items() if u in clear}, clear)
    audit.differences += end_faults(log.values(), sent_events, clear, churn)
    scores = ScoreRecords(
        tuple(log.values()), tuple(topic.values()), found.predictions, found.counters, calm_from_ms
    )
    audit.churn = audit_churn(scores, sent_events, replay, churn)
    for what, names in audit.churn.wrong.items():
        audit.note(what, names)
    audit.lost += audit.churn.lost
    audit.doubled += audit.churn.invented
    return audit


def _decoded(audit: AlertAudit, where: str, records: Sequence[tuple[str, bytes]]) -> dict[str, Alert]:
    """The alerts by record id, of several with one id the first."""
    alerts: dict[str, Alert] = {}
    for record_id, value in records:
        try:
            alert = decode_alert(value)
        except InvalidAlert as exc:
            audit.differences.append(f"alerts: {record_id} in the {where}: {exc}")
            continue
        if alert.record_id != record_id:
            audit.differences.append(f"alerts: {record_id} in the {where} is {alert.record_id}")
        alerts.setdefault(record_id, alert)
    return alerts


def _compare_copies(
    audit: AlertAudit,
    found: RecordedAlerts,
    log: Mapping[str, Alert],
    topic: Mapping[str, Alert],
    *,
    data_lost: bool,
) -> None:
    states = Counter(alert.state for alert in log.values())
    audit.sent = len(log)
    audit.fired = states[AlertState.FIRING]
    audit.resolved, audit.expired = states[AlertState.RESOLVED], states[AlertState.EXPIRED]
    audit.repeated = len(found.topic) - len(topic)
    twice = {record_id for record_id, n in Counter(i for i, _ in found.log).items() if n > 1}
    audit.doubled += audit.note("twice in the log", twice)
    audit.lost += audit.note("in the log and not in the topic", log.keys() - topic.keys())
    if data_lost:
        return
    audit.lost += audit.note("in the topic and not in the log", topic.keys() - log.keys())
    values = {(record_id, value) for record_id, value in [*found.topic, *found.log]}
    unlike = [record_id for record_id, n in Counter(i for i, _ in values).items() if n > 1]
    audit.note("with copies that differ", unlike)


def _compare_counts(audit: AlertAudit, found: RecordedAlerts, log: Mapping[str, Alert]) -> None:
    sent = Counter((alert.kind, alert.state) for alert in log.values())
    for kind, state in sorted(sent.keys() | found.counted.keys()):
        more = sent[kind, state] - found.counted[kind, state]
        if more:
            counted = found.counted[kind, state]
            audit.differences.append(
                f"alerts: {counted} {kind} counted as {state}, {sent[kind, state]} in the log"
            )
            audit.lost += max(0, -more)
            audit.doubled += max(0, more)


def _check_lifetimes(audit: AlertAudit, log: Mapping[str, Alert], open_ids: set[str]) -> None:
    """Each alert fires, then ends once unless it is open; all its steps are of one alert."""
    firings: dict[str, Alert] = {}
    ended: dict[str, Alert] = {}
    wrong: set[str] = set()
    for alert in log.values():
        steps = firings if alert.state is AlertState.FIRING else ended
        if alert.alert_id in steps:
            wrong.add(alert.alert_id)
        steps[alert.alert_id] = alert
        if steps is ended and alert.alert_id not in firings:
            wrong.add(alert.alert_id)
    wrong |= {
        alert_id
        for alert_id, alert in ended.items()
        if alert_id in firings and not _is_one_lifetime(firings[alert_id], alert)
    }
    audit.note("with an impossible history", wrong)
    audit.lost += audit.note("open and not in the log", open_ids - firings.keys())
    # Those of other subjects are open in the state of components, which nothing here reads.
    of_visitors = {alert_id for alert_id, alert in firings.items() if alert.user_id is not None}
    unended = of_visitors - ended.keys() - open_ids
    audit.lost += audit.note("fired and never ended", unended)
    audit.doubled += audit.note("both open and ended", open_ids & ended.keys())


def _is_one_lifetime(firing: Alert, end: Alert) -> bool:
    """Whether the end is that of the firing: only state, time, reasons and offer may differ."""
    same = end._replace(state=firing.state, at_ms=firing.at_ms, reasons=firing.reasons)
    brief = brief_detail(firing.kind, firing.detail)
    return same._replace(detail=firing.detail) == firing and end.detail == brief and end.at_ms >= firing.at_ms


def _compare_carts(
    audit: AlertAudit,
    where: str,
    records: Mapping[str, Alert],
    expected: Mapping[str, Sequence[CartStep]],
    clear: set[str],
) -> None:
    """The abandoned carts of clear visitors, step by step."""
    wanted = {step.record_id: step for steps in expected.values() for step in steps if step.live}
    audit.expected = len(wanted)
    got = {
        record_id: alert
        for record_id, alert in records.items()
        if alert.kind == CART_ABANDONED and alert.subject.id in clear
    }
    audit.lost += audit.note(f"abandoned carts not in the {where}", wanted.keys() - got.keys())
    audit.doubled += audit.note(
        f"abandoned carts in the {where} that were not abandoned", got.keys() - wanted.keys()
    )
    unlike = {i: cart_step(got[i]) for i in wanted.keys() & got.keys() if cart_step(got[i]) != wanted[i]}
    said = [f"{i} ({_say_difference(step, wanted[i])})" for i, step in unlike.items()]
    audit.note(f"abandoned carts in the {where} that differ", said)


def _say_difference(found: CartStep, expected: CartStep) -> str:
    """The fields that differ, in words."""
    pairs = zip(CartStep._fields, found, expected, strict=True)
    return ", ".join(
        f"{name} {is_so} for {should_be}" for name, is_so, should_be in pairs if is_so != should_be
    )


def cart_step(alert: Alert) -> CartStep:
    """What can be compared of an alert with what follows from the events alone."""
    detail: VisitorDetail = alert.detail
    return CartStep(
        alert.record_id, alert.subject.id, alert.state, alert.at_ms, alert.fired_ms, detail.session_start_ms,
        alert.episode, detail.cart_lines, alert.live,
    )  # fmt: skip
