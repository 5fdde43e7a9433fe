"""The thresholds alerts depend on, and the making of an alert from what is known of a visitor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts import subjects
from contracts.alerts import FLAT_KINDS, Alert, AlertState, Severity, VisitorDetail, make_alert_id
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import CartLine, Session, Tail
from contracts.visitor_alerts import VisitorAlerts
from models.silence import DEFAULT_CURVE, SilenceCurve
from stream.alerts.offers import suggest_offer, value_of

MEDIUM_LINES = 2
HIGH_LINES = 5
"""Products in a cart of unknown value that make an alert medium and high."""


@dataclass(frozen=True, slots=True)
class AlertThresholds:
    """The settings that decide on alerts; see `contracts.settings` for each."""

    fire: float
    rearm: float
    intent: float
    look_again_ms: int
    cart_idle_ms: int
    idle_ms: int
    ttl_ms: int
    recovery_ms: int
    cooldown_ms: int
    medium_minor: int
    high_minor: int
    currency: str
    curve: SilenceCurve = field(default=DEFAULT_CURVE)

    @classmethod
    def of(cls, settings: Settings, curve: SilenceCurve = DEFAULT_CURVE) -> "AlertThresholds":
        """The rules in the settings; a silence longer than the session's gap cannot happen within one."""
        return cls(
            settings.churn_fire, settings.churn_rearm, settings.churn_intent, settings.look_again_ms,
            min(settings.cart_idle_ms, settings.idle_ms), settings.idle_ms, settings.alert_ttl_ms,
            settings.cart_recovery_ms, settings.alert_cooldown_ms, settings.severity_medium_minor,
            settings.severity_high_minor, settings.currency, curve,
        )  # fmt: skip


class Subject(NamedTuple):
    """A visitor as a decision sees it. `score` is None, or the one made after the session's last action."""

    user_id: str
    first_ms: int
    session: Session
    tail: Tail | None
    score: Score | None


class Cause(NamedTuple):
    """Why and when an alert fires."""

    kind: str
    at_ms: int
    purchase: float | None
    threshold: float | None
    reasons: tuple[str, ...]
    live: bool


def fire(
    alert_state: VisitorAlerts, subject: Subject, cause: Cause, rules: AlertThresholds
) -> tuple[VisitorAlerts, Alert]:
    """The alert of this cause, and the alert state that has it open and its cool-down begun."""
    index = FLAT_KINDS.index(cause.kind)
    episode = alert_state.episodes[index] + 1
    session = subject.session
    value_minor, currency = value_of(session.cart, rules.currency)
    actions = [] if subject.tail is None else subject.tail.actions()
    kept = Alert(
        make_alert_id(subject.user_id, cause.kind, alert_state.session, episode, subject.first_ms),
        cause.kind, AlertState.FIRING, severity_of(session.cart, rules), subjects.visitor(subject.user_id),
        episode, cause.at_ms, cause.at_ms, cause.live,
        VisitorDetail(
            session.session_id, alert_state.session, session.start_ms, len(session.cart), value_minor,
            currency, cause.purchase,
        ),
        None if subject.score is None else subject.score.version, cause.threshold,
    )  # fmt: skip
    # At least a millisecond: what has fired at a moment must not fire at the very same one again.
    quiet_ms = cause.at_ms + max(1, rules.cooldown_ms)
    after = alert_state._replace(
        episodes=_set(alert_state.episodes, index, episode),
        quiet_until_ms=_set(alert_state.quiet_until_ms, index, quiet_ms),
        open=(*alert_state.open, kept),
    )
    offer = suggest_offer(session.cart, actions, at_ms=cause.at_ms, currency=rules.currency)
    return after, kept._replace(reasons=cause.reasons, detail=kept.detail._replace(offer=offer))


def close(
    alert_state: VisitorAlerts, alert: Alert, state: AlertState, at_ms: int
) -> tuple[VisitorAlerts, Alert]:
    """The last step of an open alert, and the alert state without it.

    Moments that passed while it was open are over: nothing fires for them afterwards.
    """
    index = FLAT_KINDS.index(alert.kind)
    at_ms = max(at_ms, alert.fired_ms)
    after = alert_state._replace(
        open=tuple(other for other in alert_state.open if other is not alert),
        quiet_until_ms=_set(alert_state.quiet_until_ms, index, max(alert_state.quiet_until_ms[index], at_ms)),
    )
    return after, alert._replace(state=state, at_ms=at_ms)


def severity_of(cart: Mapping[str, CartLine], rules: AlertThresholds) -> Severity:
    """By value where a line has a price in the shop's currency, else by number of products."""
    value_minor, currency = value_of(cart, rules.currency)
    if value_minor is None or currency != rules.currency:
        amount, medium, high = len(cart), MEDIUM_LINES, HIGH_LINES
    else:
        amount, medium, high = value_minor, rules.medium_minor, rules.high_minor
    if amount >= high:
        return Severity.HIGH
    return Severity.MEDIUM if amount >= medium else Severity.LOW


def say_silence(silence_ms: int) -> str:
    """A silence in words, in minutes from two minutes up."""
    seconds = silence_ms // 1_000
    return f"no action for {seconds} seconds" if seconds < 120 else f"no action for {seconds // 60} minutes"


def _set(pair: tuple[int, int], index: int, value: int) -> tuple[int, int]:
    return (value, pair[1]) if index == 0 else (pair[0], value)
