"""The pure steps of alerts: from the alert state and what happened to the next one and what to publish.

Every decision depends on event times and the visitor's state alone, so that reading the log again makes the
same alerts with the same ids. What fires and why is for the rules (`stream.alerts.rules`).
"""

from collections.abc import Container, Sequence

from contracts.alerts import FLAT_KINDS, Alert, AlertState
from contracts.scores import Score
from contracts.visitor import Action, Session, Visitor
from contracts.visitor_alerts import VisitorAlerts
from stream.alerts.gate import Candidate, Withheld
from stream.alerts.lifecycle import close, fire
from stream.alerts.registry import AlertRules
from stream.alerts.rules import PURCHASE, Decision, Firing, VisitorRule, VisitorView, facts_of, may_fire
from stream.alerts.watching import end_watched, note_purchase
from stream.visitors.arrival import session_before, split_arrivals
from stream.visitors.session import advance

_EXPIRY, _SILENCE, _WATCHED = 0, 1, 2
"""Of what falls due at the same moment expiries come first, each in the order of the rules."""

Step = tuple[VisitorAlerts, list[Alert]]


def on_actions(
    alert_state: VisitorAlerts,
    user_id: str,
    before: Visitor | None,
    actions: Sequence[Action],
    score: Score | None,
    rules: AlertRules,
    *,
    stale: Container[bytes] = (),
) -> Step:
    """The step for new actions of a visitor whose state and stored score before them are given.

    Silences between the actions lead to what their timers would have led to, whether or not these came in
    time. `stale` has the digests of actions that arrived long after they happened (`contracts.clock`): what
    follows from them is recorded only. Call it before `on_score`.
    """
    late, newer = split_arrivals(before, actions)
    if not _at_stake(alert_state, before, actions, rules):
        return _mark_live(alert_state, newer[-1], stale) if newer else alert_state, []
    alerts: list[Alert] = []
    for action in late:
        alert_state = _settle(alert_state, action, alerts, rules)
    if not newer:
        return alert_state, alerts
    session = session_before(before, late, idle_ms=rules.idle_ms)
    first_ms = newer[0].at_ms if before is None else min(before.totals.first_ms, *(a.at_ms for a in actions))
    tail, acts_on = None if before is None else before.tail, rules.calm.acts_on
    for action in newer:
        if session is not None:
            view = VisitorView(user_id, first_ms, session, tail, _score_of(session, score))
            alert_state, passed = _pass_time(alert_state, view, action.at_ms, rules)
            alerts += passed
        session, _ = advance(session, (action,), idle_ms=rules.idle_ms)
        alert_state = _mark_live(enter(alert_state, session), action, stale)
        if alert_state.open or alert_state.watched:
            alert_state = _settle(alert_state, action, alerts, rules)
        if acts_on and action.rank in acts_on:
            view = VisitorView(user_id, first_ms, session, tail, None)
            alert_state = _decide_action(alert_state, view, action, alerts, rules)
    return alert_state, alerts


def on_score(
    alert_state: VisitorAlerts,
    user_id: str,
    visitor: Visitor,
    score: Score,
    rules: AlertRules,
    *,
    previous: Score | None = None,
) -> Step:
    """The step for a new score of a visitor, given the state it was made from and the score before it."""
    session = visitor.head
    is_new = session.start_ms > alert_state.session_start_ms
    if is_new and not [rule for rule in rules.scored if rule.heeds(session, score)]:
        return alert_state, []
    alert_state = enter(alert_state, session)
    alerts: list[Alert] = []
    view = VisitorView(user_id, visitor.totals.first_ms, session, visitor.tail, score, previous)
    for rule in rules.scored:
        decision = rule.on_score(alert_state, view, score)
        alert_state = _decide(alert_state, view, rule, decision, alerts, rules, is_over=visitor.ended)
    return alert_state, alerts


def on_deadline(
    alert_state: VisitorAlerts,
    user_id: str,
    visitor: Visitor,
    score: Score | None,
    until_ms: int,
    rules: AlertRules,
) -> Step:
    """The step once event time has passed `until_ms` (a watermark) and the visitor was silent since.

    Whatever was due before is decided at the moment it was due, however late this is called.
    """
    session = visitor.head
    view = VisitorView(user_id, visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    return _pass_time(alert_state, view, until_ms, rules)


def on_purchase_elsewhere(alert_state: VisitorAlerts, at_ms: int, rules: AlertRules) -> Step:
    """The step once who is logged in here has bought on another device: what that settles stays quiet."""
    alerts: list[Alert] = []
    for alert in alert_state.open:
        rule = rules.by_kind.get(alert.kind)
        if rule is not None and rule.is_settled(alert, PURCHASE, max(at_ms, alert.fired_ms)):
            alert_state, closed = close(alert_state, alert, AlertState.RESOLVED, at_ms)
            alerts.append(closed)
    if alert_state.watched:
        alert_state = note_purchase(alert_state, at_ms, rules.watch_ms)
    for rule in rules.rules:
        if rule.kind in FLAT_KINDS:
            kept = alert_state.of(rule.kind)
            quiet_ms = max(kept.quiet_until_ms, at_ms + max(1, rule.cooldown_ms))
            alert_state = alert_state.put(rule.kind, kept._replace(quiet_until_ms=quiet_ms))
    return alert_state, alerts


def next_deadline_ms(
    alert_state: VisitorAlerts, visitor: Visitor, score: Score | None, rules: AlertRules
) -> int | None:
    """Event time at which this visitor should be looked at if silent until then, the session's end included.

    None if there is nothing to wait for: the session has ended and no alert is open.
    """
    session = visitor.head
    view = VisitorView("", visitor.totals.first_ms, session, visitor.tail, _score_of(session, score))
    moments = [at_ms for at_ms, _, _ in _due(enter(alert_state, session), view, rules)]
    if not visitor.ended:
        moments.append(session.last_ms + rules.idle_ms)
    return min(moments, default=None)


def may_wait(alert_state: VisitorAlerts, visitor: Visitor, rules: AlertRules) -> bool:
    """Whether a rule may wait for anything of this visitor: of most, none does."""
    return (
        bool(visitor.head.cart)
        or bool(alert_state.open)
        or bool(alert_state.watched)
        or rules.calm.concerns_all
        or has_intent(alert_state)
    )


def has_intent(alert_state: VisitorAlerts) -> bool:
    """Whether a rule wants to see all that the visitor does in the session."""
    return bool(alert_state.kinds) and any(kept.intent for kept in alert_state.kinds.values())


def enter(alert_state: VisitorAlerts, session: Session) -> VisitorAlerts:
    """The alert state in this session.

    A late event may join a session with the one before, whose start it then has, or give it another number by
    making one before it: it stays the session that it was. The alert state's number never goes back.
    """
    number = max(alert_state.session, session.number)
    if session.start_ms > alert_state.session_start_ms:
        is_next = number > alert_state.session
        for kind, kept in alert_state.kinds.items():
            episodes = 0 if is_next else kept.episodes
            alert_state = alert_state.put(kind, kept._replace(episodes=episodes, armed=True, intent=False))
        return alert_state._replace(session=number, session_start_ms=session.start_ms)
    return alert_state if number == alert_state.session else alert_state._replace(session=number)


def _pass_time(alert_state: VisitorAlerts, view: VisitorView, until_ms: int, rules: AlertRules) -> Step:
    """Everything that falls due before `until_ms`, in order; an action at that very moment prevents it."""
    alerts: list[Alert] = []
    entered, is_decided = enter(alert_state, view.session), False
    while True:
        at_ms, what, place = min(_due(entered, view, rules), default=(until_ms, _SILENCE, 0))
        if at_ms >= until_ms:
            return (entered if is_decided else alert_state), alerts
        is_decided = True
        if what == _WATCHED:
            entered = end_watched(entered, at_ms, rules.watch_ms, rules.gate)
            continue
        rule = rules.rules[place]
        over = entered.open_of(rule.kind)
        if what == _EXPIRY and over is not None:
            entered, alert = close(entered, over, AlertState.EXPIRED, at_ms)
            alerts.append(alert)
        else:
            entered = _decide_silence(entered, view, rule, at_ms, alerts, rules)


def _due(alert_state: VisitorAlerts, view: VisitorView, rules: AlertRules) -> list[tuple[int, int, int]]:
    """What the silence leads to: when, what, and the place of the rule; each no more once it was decided."""
    session = view.session
    facts = facts_of(session, view.score)
    due = []
    for place, rule, silence in rules.silences:
        opened = alert_state.open_of(rule.kind) if alert_state.open else None
        if opened is not None:
            due.append((rule.expires_ms(opened, session), _EXPIRY, place))
        elif silence is not None and facts & silence.needs == silence.needs:
            at_ms, kept = session.last_ms + silence.after_ms, alert_state.of(rule.kind)
            is_quiet = at_ms < kept.quiet_until_ms or at_ms <= kept.looked_ms
            if not is_quiet and (silence.is_enough or rule.waits(kept, view)):
                due.append((at_ms, _SILENCE, place))
    if alert_state.watched:
        due.append((alert_state.watched[0].fired_ms + rules.watch_ms, _WATCHED, 0))
    return due


def _decide_silence(
    alert_state: VisitorAlerts,
    view: VisitorView,
    rule: VisitorRule,
    at_ms: int,
    alerts: list[Alert],
    rules: AlertRules,
) -> VisitorAlerts:
    kept, firing = rule.on_silence(alert_state, view, at_ms)
    if firing is None and kept.looked_ms < at_ms:
        kept = kept._replace(looked_ms=at_ms)  # else it would be due again
    after = _decide(alert_state, view, rule, (kept, firing), alerts, rules)
    kept = after.of(rule.kind)
    if firing is not None and kept.quiet_until_ms <= at_ms:  # withheld: this moment is over all the same
        after = after.put(rule.kind, kept._replace(quiet_until_ms=at_ms + 1))
    return after


def _decide_action(
    alert_state: VisitorAlerts, view: VisitorView, action: Action, alerts: list[Alert], rules: AlertRules
) -> VisitorAlerts:
    for rule in rules.rules:
        if action.rank in rule.acts_on:
            decision = rule.on_action(alert_state, view, action)
            alert_state = _decide(alert_state, view, rule, decision, alerts, rules)
    return alert_state


def _decide(
    alert_state: VisitorAlerts,
    view: VisitorView,
    rule: VisitorRule,
    decision: Decision,
    alerts: list[Alert],
    rules: AlertRules,
    *,
    is_over: bool = False,
) -> VisitorAlerts:
    """Keep what the rule decided; its alert fires if it may and the session is not over."""
    kept, firing = decision
    alert_state = alert_state.put(rule.kind, kept)
    if firing is None or is_over or not may_fire(alert_state, rule.kind, firing.at_ms):
        return alert_state
    if not _pass_gate(alert_state, rule.kind, firing, rules):
        return alert_state
    alert_state, alert = fire(alert_state, view, rule, firing, rules.hold_out, is_watched=rules.watch_ms > 0)
    alerts.append(alert)
    return alert_state


def _pass_gate(alert_state: VisitorAlerts, kind: str, firing: Firing, rules: AlertRules) -> bool:
    candidate = Candidate(kind, firing.at_ms, firing.rank, firing.before, firing.model, firing.needs_model)
    if len(alert_state.watched) >= rules.per_visitor:
        recent = [each for each in alert_state.watched if each.fired_ms > firing.at_ms - rules.watch_ms]
        if len(recent) >= rules.per_visitor:
            rules.gate.refuse(candidate, Withheld.VISITOR)
            return False
    return rules.gate.ask(candidate)


def _mark_live(alert_state: VisitorAlerts, action: Action, stale: Container[bytes]) -> VisitorAlerts:
    """The alert state with whether this action, the newest, arrived about when it happened."""
    live = action.digest not in stale
    return alert_state if live is alert_state.live else alert_state._replace(live=live)


def _settle(
    alert_state: VisitorAlerts, action: Action, alerts: list[Alert], rules: AlertRules
) -> VisitorAlerts:
    """Close what this action settles."""
    for alert in alert_state.open:
        rule = rules.by_kind.get(alert.kind)
        if rule is not None and rule.is_settled(alert, action.rank, action.at_ms):
            alert_state, closed = close(alert_state, alert, AlertState.RESOLVED, action.at_ms)
            alerts.append(closed)
    if action.rank == PURCHASE and alert_state.watched:
        is_known = action.price_minor is not None and action.currency == rules.currency
        revenue_minor = (action.price_minor or 0) * action.quantity if is_known else 0
        alert_state = note_purchase(alert_state, action.at_ms, rules.watch_ms, revenue_minor)
    return alert_state


def _at_stake(
    alert_state: VisitorAlerts, before: Visitor | None, actions: Sequence[Action], rules: AlertRules
) -> bool:
    """Whether these actions can matter: for most visitors there is no cart, no intent and no alert."""
    calm = rules.calm
    if (
        alert_state.open
        or alert_state.watched
        or calm.concerns_all
        or (before is not None and before.head.cart)
    ):
        return True
    if has_intent(alert_state):
        return True
    stakes = calm.stakes
    return any(action.rank in stakes for action in actions)


def _score_of(session: Session, score: Score | None) -> Score | None:
    """The score if it was made after the last action of this session."""
    return score if score is not None and score.at_ms == session.last_ms else None
