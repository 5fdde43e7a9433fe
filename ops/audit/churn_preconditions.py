"""Whether a churn alert had the grounds it needs beside a low chance: intent, being armed, its turn."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from contracts.alerts import Alert
from ops.audit.abandoned import FOREVER_MS, SentEvent
from ops.audit.churn import ChurnAlertRules
from ops.audit.churn_required import AlertLifetime
from ops.audit.known import State, session_of, states_at
from ops.audit.scores import MANY_LEVELS, Case, Chances, ScoreReplay


class Precondition(NamedTuple):
    """What an alert lacks unless a score from `since_ms` on reached `chance`.

    Unless, too, a session began after `quiet_ms`: it may be joined by now with the one before, but while it
    was one of its own it needed no such score.
    """

    alert: Alert
    lacks: str
    chance: float
    since_ms: int
    quiet_ms: int = FOREVER_MS


def unjustified_firings(
    firings: Iterable[Alert],
    lifetimes: Mapping[str, Sequence[AlertLifetime]],
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnAlertRules,
) -> list[tuple[Alert, str]]:
    """Alerts that could not fire, each with why."""
    wrong: list[tuple[Alert, str]] = []
    preconditions: list[Precondition] = []
    for alert in firings:
        before = _before(alert, lifetimes.get(alert.subject.id, ()))
        if before is not None and _comes_too_soon(alert, before, rules):
            wrong.append((alert, "too soon after another one one"))
            continue
        if before is not None and before.firing.fired_ms >= alert.detail.session_start_ms:
            fired_ms = before.firing.fired_ms
            lacks = "another one fired, and no chance was high enough since"
            preconditions.append(
                Precondition(alert, lacks, rules.rearm, fired_ms - rules.look_again_ms, fired_ms)
            )
        if not alert.detail.cart_lines and rules.needs_cart:
            wrong.append((alert, "nothing in the cart"))
        elif not alert.detail.cart_lines:
            lacks = "nothing in the cart and no chance was intent"
            preconditions.append(Precondition(alert, lacks, rules.intent, alert.detail.session_start_ms))
    return wrong if replay is None else wrong + _settle(preconditions, sent_events, replay, rules)


def _before(alert: Alert, lifetimes: Sequence[AlertLifetime]) -> AlertLifetime | None:
    """The last lifetime in the log that began before this alert, if this alert is in the log."""
    before = None
    for lifetime in lifetimes:
        if lifetime.firing == alert:
            return before
        before = lifetime
    return None


def _comes_too_soon(alert: Alert, before: AlertLifetime, rules: ChurnAlertRules) -> bool:
    quiet_ms = max(before.firing.fired_ms + max(1, rules.cooldown_ms), before.end_ms)
    return alert.fired_ms < quiet_ms


def _settle(
    preconditions: Sequence[Precondition],
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay,
    rules: ChurnAlertRules,
) -> list[tuple[Alert, str]]:
    """Those for which no state in that time can have had the chance they need."""
    cases: list[Case] = []
    places: list[tuple[Precondition, int, int]] = []
    for precondition in preconditions:
        alert = precondition.alert
        states = list(_states_in(sent_events[alert.subject.id], precondition.since_ms, alert.fired_ms))
        known = [state for state in states if state is not None]
        starts_ms = [session_of(state, rules.idle_ms)[0].at_ms for state in known]
        if None not in states and not any(start_ms > precondition.quiet_ms for start_ms in starts_ms):
            places.append((precondition, len(cases), len(cases) + len(known)))
            cases += [Case(alert.subject.id, state) for state in known]
    scored = replay.score(cases)
    return [
        (precondition.alert, precondition.lacks)
        for precondition, start, end in places
        if _is_below(precondition.chance, scored[start:end])
        and _is_below(precondition.chance, replay.score(cases[start:end], MANY_LEVELS))
    ]


def _is_below(chance: float, scored: Iterable[Chances | None]) -> bool:
    """Whether every one of these is known to be below a chance."""
    return all(one is not None and one.purchase[0][1] < chance for one in scored)


def _states_in(sent_events: Sequence[SentEvent], since_ms: int, until_ms: int) -> Iterator[State | None]:
    """States in which the visitor may have been scored after an action in this time; None: too many."""
    for at_ms in sorted(
        {sent_event.at_ms for sent_event in sent_events if since_ms <= sent_event.at_ms <= until_ms}
    ):
        states = states_at(sent_events, at_ms)
        yield from [None] if states is None else states
