"""The churn alerts that must be there, whatever the batches were: visitors with intent whose score is known.

Which actions were scored depends on the batches, but the silence after an action is looked at again with the
score of that action, and where such a score was told of (in the visitor's state, or by the abandoned cart
that followed) it was there to look with.
"""

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from contracts.alerts import Alert
from contracts.scores import Score
from models.silence import DEFAULT_CURVE, hear_silence, share_at
from ops.audit.abandoned import CROSSING_MS, FETCH_MS, FOREVER_MS, SentEvent
from ops.audit.churn import ChurnAlertRules
from ops.audit.known import cart_of, count_sessions, has_bought, session_of
from ops.audit.price_track import Span
from ops.audit.scores import TOLERANCE


class Evidence(NamedTuple):
    """A score that was there in the silence after the action at `at_ms`, with the chance it named.

    `score` is the whole of it where it is known, else `leave` bounds the chance of leaving. `intent_ms` is
    the start of the session in which the visitor's state had intent, 0 if it had none. `silence_ms` is how
    long the silence had lasted at which the chance was named.
    """

    user_id: str
    at_ms: int
    purchase: float
    leave: Span = (0.0, 1.0)
    score: Score | None = None
    intent_ms: int = 0
    silence_ms: int = 0


class AlertLifetime(NamedTuple):
    """A churn alert: its firing and when it ended (ms)."""

    firing: Alert
    end_ms: int


class Need(StrEnum):
    """What must be of an alert in a silence."""

    NONE = "none must be"
    THERE = "one must be, and is"
    LOST = "one must be, and is not"
    UNKNOWN = "came out of order"


def need_at(
    evidence: Evidence,
    sent_events: Sequence[SentEvent],
    lifetimes: Sequence[AlertLifetime],
    rules: ChurnAlertRules,
) -> Need:
    """Whether a churn alert must have fired by the look into this silence; `lifetimes` are the visitor's."""
    end = bisect_right(sent_events, evidence.at_ms, key=lambda sent_event: sent_event.at_ms)
    known = sent_events[:end]
    next_ms = sent_events[end].at_ms if end < len(sent_events) else FOREVER_MS
    look_ms = evidence.at_ms + rules.look_again_ms
    if not known or known[-1].at_ms != evidence.at_ms or rules.look_again_ms >= rules.idle_ms:
        return Need.NONE
    if not _is_low(evidence, rules):
        return Need.NONE
    arrived_ms = max(sent_event.arrived_ms for sent_event in known)
    if arrived_ms + FETCH_MS > look_ms + rules.disorder_ms or arrived_ms + CROSSING_MS >= next_ms:
        return Need.UNKNOWN
    session = session_of(known, rules.idle_ms)
    number = count_sessions(known, rules.idle_ms)
    is_wanted = evidence.intent_ms == session[0].at_ms or evidence.purchase >= rules.intent
    has_intent = cart_of(known) or (is_wanted and not rules.needs_cart)
    if next_ms <= look_ms or has_bought(session) or not has_intent:
        return Need.NONE
    return _look(lifetimes, session[0].at_ms, number, look_ms, rules)


def _look(
    lifetimes: Sequence[AlertLifetime], start_ms: int, number: int, look_ms: int, rules: ChurnAlertRules
) -> Need:
    """What the alerts that did fire leave for this look: one in the session, or one that keeps it quiet."""
    earlier = [lifetime for lifetime in lifetimes if lifetime.firing.fired_ms <= look_ms]
    # Late events may renumber sessions; the number alerts count by never goes back.
    if any(
        lifetime.firing.fired_ms >= start_ms or lifetime.firing.detail.session >= number
        for lifetime in earlier
    ):
        return Need.THERE
    quiet_ms = max((lifetime.firing.fired_ms + max(1, rules.cooldown_ms) for lifetime in earlier), default=0)
    still_open = any(lifetime.end_ms > look_ms for lifetime in earlier)
    return Need.NONE if still_open or quiet_ms > look_ms else Need.LOST


def _is_low(evidence: Evidence, rules: ChurnAlertRules) -> bool:
    """Whether the chance after the silence is surely under the threshold."""
    if evidence.score is not None:
        return hear_silence(evidence.score, rules.look_again_ms).purchase < rules.fire
    leave = max(0.0, evidence.leave[0])
    purchase = _highest_before(evidence)
    score = Score("", evidence.at_ms, 0, 0, (1 - leave, 0.0, 0.0, 0.0, leave), purchase)
    return hear_silence(score, rules.look_again_ms).purchase + TOLERANCE < rules.fire


def _highest_before(evidence: Evidence) -> float:
    """The highest chance before the silence that can have become the one named: Bayes' rule backwards."""
    if not evidence.silence_ms:
        return evidence.purchase
    staying = share_at(DEFAULT_CURVE.seconds, DEFAULT_CURVE.staying, evidence.silence_ms)
    buying = share_at(DEFAULT_CURVE.seconds, DEFAULT_CURVE.buying, evidence.silence_ms)
    leave = min(1.0, evidence.leave[1])
    before = (evidence.purchase + TOLERANCE) * (leave + (1 - leave) * staying) / buying
    return min(1.0, max(evidence.purchase, before))
