"""The pure steps of a visitor's outlook: judge what was expected, decide on alerts, take in new scores."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from contracts.alerts import Alert
from contracts.outlook import BLANK, Outlook
from contracts.scores import Score
from contracts.visitor import Action, Visitor, visitor_of
from stream.alerts.steps import next_deadline_ms, on_actions, on_deadline, on_score
from stream.alerts.thresholds import AlertRules
from stream.scoring.prequential import Tally, count_alerts, expect, fired_in, judge_actions, judge_end


class Arrival(NamedTuple):
    """What a batch brought of one visitor: the state before, and the new actions.

    `stale` has the digests of those that arrived long after they happened, as in a replay.
    """

    before: Visitor | None
    actions: list[Action]
    stale: Container[bytes]


@dataclass(slots=True)
class Foresight:
    """What a batch comes to beside counting: alerts to publish, and predictions judged."""

    alerts: list[Alert] = field(default_factory=list)
    purchases: list[float] = field(default_factory=list)
    """Purchase probabilities newly predicted."""
    tally: Tally = field(default_factory=Tally)

    def add(self, alerts: list[Alert]) -> None:
        """Publish and count steps of alerts."""
        if alerts:
            self.alerts += alerts
            count_alerts(alerts, self.tally)


def judge_arrival(foresight: Foresight, user_id: str, arrival: Arrival, rules: AlertRules) -> Outlook:
    """The outlook of a visitor after new actions, before anything new is predicted."""
    before, actions, stale = arrival
    outlook = before.outlook if before is not None else BLANK
    score, book, unjudged = outlook
    after, alerts = on_actions(book, user_id, before, actions, score, rules, stale=stale)
    fired = fired_in(book, alerts)
    judged = judge_actions(unjudged, before, actions, fired, foresight.tally, idle_ms=rules.idle_ms)
    foresight.add(alerts)
    return outlook if after is book and judged is unjudged else Outlook(score, after, judged)


def take_score(
    foresight: Foresight, user_id: str, visitor: Visitor, score: Score, rules: AlertRules
) -> Visitor:
    """The visitor with a score made of this very state, rounded as it is kept."""
    totals, base, head, tail, ended, timer_ms, seen, orders, (_, book, unjudged) = visitor
    book, alerts = on_score(book, user_id, visitor, score, rules)
    foresight.add(alerts)
    foresight.purchases.append(score.purchase)
    outlook = Outlook(score, book, expect(unjudged, visitor, score))
    return visitor_of((totals, base, head, tail, ended, timer_ms, seen, orders, outlook))


def pass_silence(
    foresight: Foresight, user_id: str, visitor: Visitor, watermark_ms: int, rules: AlertRules
) -> Visitor:
    """The visitor once event time has passed without an action of theirs, alerts that fell due decided."""
    score, book, unjudged = visitor.outlook
    book, alerts = on_deadline(book, user_id, visitor, score, watermark_ms, rules)
    if visitor.ended:
        # Not before: the session's end is what the purchase predictions are judged by.
        fired = fired_in(book, alerts)
        unjudged = judge_end(unjudged, visitor.head, fired, foresight.tally, idle_ms=rules.idle_ms)
    foresight.add(alerts)
    return visitor._replace(outlook=Outlook(score, book, unjudged))


def timer_of(visitor: Visitor, rules: AlertRules) -> int:
    """Event time at which to look at a silent visitor next, 0 for never (ms)."""
    score, book, _ = visitor.outlook
    if not (visitor.head.cart or visitor.ended or book.open or book.intent):
        return visitor.head.last_ms + rules.idle_ms  # most visitors: nothing to wait for but the end
    return next_deadline_ms(book, visitor, score, rules) or 0
