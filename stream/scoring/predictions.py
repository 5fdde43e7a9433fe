"""The pure steps of a visitor's predictions: judge what was expected, decide on alerts, take new scores."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.alerts import Alert
from contracts.heartbeat import NEXT_ACTION
from contracts.predictions import NO_PREDICTIONS, Predictions
from contracts.scores import Score
from contracts.visitor import NO_EXTRA, Action, Visitor, visitor_of
from models.lifecycle.pairs import beside_key
from stream.alerts.gate import Decided, Gate
from stream.alerts.registry import AlertRules
from stream.alerts.steps import (
    may_wait,
    next_deadline_ms,
    on_actions,
    on_deadline,
    on_purchase_elsewhere,
    on_score,
)
from stream.scoring.prequential import (
    Tally,
    count_alerts,
    count_decided,
    count_watched,
    expect,
    fired_in,
    judge_actions,
    judge_end,
)

KEPT_TO_THE_END = frozenset({NEXT_ACTION, beside_key(NEXT_ACTION)})
"""Names in `Visitor.extra` of what waits for the end of the session."""


class Arrival(NamedTuple):
    """What a batch brought of one visitor: the state before, and the new actions.

    `stale` has the digests of those that arrived long after they happened, as in a replay.
    """

    before: Visitor | None
    actions: list[Action]
    stale: Container[bytes]


@dataclass(slots=True)
class PredictionResults:
    """What a batch comes to beside counting: alerts to publish, and predictions judged."""

    alerts: list[Alert] = field(default_factory=list)
    purchases: list[float] = field(default_factory=list)
    """Purchase probabilities newly predicted."""
    tally: Tally = field(default_factory=Tally)
    ended: list[Visitor] = field(default_factory=list)
    """Visitors as they were at the end of a session, of whom something was kept until then."""
    paired: dict[str, dict[str, int]] = field(default_factory=dict)
    """What to add to the counters of pairs of versions (`models.lifecycle.pairs`), by the pair's name."""
    decided: list[Decided] = field(default_factory=list)
    """Alerts that a rule wanted to fire, and whether they may."""
    watched: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Numbers whose drift is watched, by slot and name; those of the next action are the ones above."""

    def add(self, alerts: list[Alert]) -> None:
        """Publish and count steps of alerts."""
        if alerts:
            self.alerts += alerts
            count_alerts(alerts, self.tally)

    def take_from(self, gate: Gate) -> None:
        """Count what was decided, and what came of alerts of a day ago."""
        decided, ended = gate.take()
        if decided:
            self.decided += decided
            count_decided(decided, self.tally)
        if ended:
            count_watched(ended, self.tally)


def judge_arrival(
    prediction_results: PredictionResults, user_id: str, arrival: Arrival, rules: AlertRules
) -> Predictions:
    """The predictions of a visitor after new actions, before anything new is predicted."""
    before, actions, stale = arrival
    predictions = before.predictions if before is not None else NO_PREDICTIONS
    score, alert_state, unjudged = predictions
    after, alerts = on_actions(alert_state, user_id, before, actions, score, rules, stale=stale)
    fired = fired_in(alert_state, alerts)
    judged = judge_actions(unjudged, before, actions, fired, prediction_results.tally, idle_ms=rules.idle_ms)
    if before is not None and judged.closed != unjudged.closed:
        _note_end(prediction_results, before)
    prediction_results.add(alerts)
    prediction_results.take_from(rules.gate)
    return predictions if after is alert_state and judged is unjudged else Predictions(score, after, judged)


def settle_elsewhere(
    prediction_results: PredictionResults, visitor: Visitor, at_ms: int, rules: AlertRules
) -> Visitor:
    """The visitor once who is logged in here has bought on another device.

    What a purchase settles is settled, and rules about carts keep quiet for their cool-down. It is no action
    of the visitor: sessions, counts and money are as they were.
    """
    score, alert_state, unjudged = visitor.predictions
    alert_state, alerts = on_purchase_elsewhere(alert_state, at_ms, rules)
    prediction_results.add(alerts)
    return visitor._replace(predictions=Predictions(score, alert_state, unjudged))


def take_score(
    prediction_results: PredictionResults,
    user_id: str,
    visitor: Visitor,
    score: Score,
    rules: AlertRules,
) -> Visitor:
    """The visitor with a score made of this very state, rounded as it is kept."""
    totals, base, head, tail, ended, timer_ms, seen, orders, (previous, alert_state, unjudged), extra = (
        visitor
    )
    alert_state, alerts = on_score(alert_state, user_id, visitor, score, rules, previous=previous)
    prediction_results.add(alerts)
    prediction_results.take_from(rules.gate)
    prediction_results.purchases.append(score.purchase)
    predictions = Predictions(score, alert_state, expect(unjudged, visitor, score))
    return visitor_of((totals, base, head, tail, ended, timer_ms, seen, orders, predictions, extra))


def pass_silence(
    prediction_results: PredictionResults,
    user_id: str,
    visitor: Visitor,
    watermark_ms: int,
    rules: AlertRules,
) -> Visitor:
    """The visitor once event time has passed without an action of theirs, alerts that fell due decided."""
    score, alert_state, unjudged = visitor.predictions
    alert_state, alerts = on_deadline(alert_state, user_id, visitor, score, watermark_ms, rules)
    if visitor.ended:
        # Not before: the session's end is what the purchase predictions are judged by.
        fired = fired_in(alert_state, alerts)
        closed = unjudged.closed
        unjudged = judge_end(unjudged, visitor.head, fired, prediction_results.tally, idle_ms=rules.idle_ms)
        if unjudged.closed != closed:
            visitor = _note_end(prediction_results, visitor)
    prediction_results.add(alerts)
    prediction_results.take_from(rules.gate)
    return visitor._replace(predictions=Predictions(score, alert_state, unjudged))


def _note_end(prediction_results: PredictionResults, visitor: Visitor) -> Visitor:
    """Note that a session is over; what was kept of its predictions until then is kept no longer."""
    if not visitor.extra or KEPT_TO_THE_END.isdisjoint(visitor.extra):
        return visitor
    prediction_results.ended.append(visitor)
    extra = {name: value for name, value in visitor.extra.items() if name not in KEPT_TO_THE_END}
    return visitor._replace(extra=extra or NO_EXTRA)


def timer_of(visitor: Visitor, rules: AlertRules) -> int:
    """Event time at which to look at a silent visitor next, 0 for never (ms)."""
    score, alert_state, _ = visitor.predictions
    if not visitor.ended and not may_wait(alert_state, visitor, rules):
        return visitor.head.last_ms + rules.idle_ms  # most visitors: nothing to wait for but the end
    return next_deadline_ms(alert_state, visitor, score, rules) or 0
