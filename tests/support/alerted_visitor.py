"""One visitor whose actions are scored, alerted on and judged as the stream does it, without a stream."""

import random
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from contracts.alerts import Alert
from contracts.scores import ALL_JUDGED, Score, round_score
from contracts.visitor import Action, Session, Visitor
from contracts.visitor_alerts import NO_ALERTS
from shoppers import NOW_MS, SETTINGS, make_action
from stream.alerts.registry import AlertRules
from stream.alerts.steps import next_deadline_ms, on_actions, on_deadline, on_score
from stream.scoring.prequential import Tally, count_alerts, expect, fired_in, judge_actions, judge_end
from stream.visitors.session import SessionSettings, absorb, end_session

RULES = AlertRules.of(SETTINGS)
SESSION_RULES = SessionSettings(SETTINGS.idle_ms, SETTINGS.disorder_ms)


def make_rules(**settings: object) -> AlertRules:
    """The rules with other settings than those of the tests."""
    return AlertRules.of(SETTINGS.model_copy(update=settings))


Scorer = Callable[[Session], float]

DAY_S = 86_400

_KINDS = ("view", "view", "favorite", "cart", "cart", "remove_from_cart", "purchase")
_GAPS_S = (0, 1, 30, 179, 180, 181, 899, 900, 901, 1_800, 1_801, 4_000, DAY_S, DAY_S + 901)


def at(seconds: float) -> int:
    """Event time so many seconds after the start of the test's time."""
    return NOW_MS + int(seconds * 1_000)


@st.composite
def histories(draw: st.DrawFn) -> list[Action]:
    """Actions of one visitor in order, with gaps around every deadline."""
    actions, now_s = [], 0
    for i in range(draw(st.integers(1, 14))):
        now_s += draw(st.sampled_from(_GAPS_S))
        product = draw(st.sampled_from("abc"))
        actions.append(make_action(draw(st.sampled_from(_KINDS)), now_s, product, name=str(i)))
    return sorted(actions)


def by_digest(session: Session) -> float:
    """A chance that looks random but depends on nothing but the session."""
    return random.Random(f"{session.start_ms}{session.last_ms}{session.counts}").random() ** 2


def make_score(session: Session, purchase: float, *, leave: float = 0.3, version: str = "m-1") -> Score:
    """A score of the session's last action with this chance of a purchase; the rest is views."""
    return round_score(
        Score(
            version,
            session.last_ms,
            sum(session.counts),
            session.number,
            (1 - leave, 0, 0, 0, leave),
            purchase,
            (("cart", 0.4), ("pause", -0.2)),
        )
    )


class AlertedVisitor:
    """The visitor `u1`. `scorer` gives the chance of a purchase; None: no model is there."""

    def __init__(self, scorer: Scorer | None = None, rules: AlertRules = RULES) -> None:
        self.rules = rules
        self.scorer = scorer
        self.visitor: Visitor | None = None
        self.alert_state = NO_ALERTS
        self.score: Score | None = None
        self.unjudged = ALL_JUDGED
        self.alerts: list[Alert] = []
        self.tally = Tally()
        self.n_scored = 0

    def act(self, *actions: Action, live: bool = True) -> list[Alert]:
        """One batch with these actions, scored at its end."""
        before = self.visitor
        stale = () if live else {action.digest for action in actions}
        alert_state, alerts = on_actions(
            self.alert_state, "u1", before, actions, self.score, self.rules, stale=stale
        )
        fired = fired_in(self.alert_state, alerts)
        self.unjudged = judge_actions(
            self.unjudged, before, actions, fired, self.tally, idle_ms=self.rules.idle_ms
        )
        self.visitor, _ = absorb(before, list(actions), SESSION_RULES)
        self.alert_state = alert_state
        if self.scorer is not None:
            self.score = make_score(self.visitor.head, self.scorer(self.visitor.head))
            self.alert_state, more = on_score(self.alert_state, "u1", self.visitor, self.score, self.rules)
            alerts = alerts + more
            waiting = len(self.unjudged.waiting)
            self.unjudged = expect(self.unjudged, self.visitor, self.score)
            self.n_scored += len(self.unjudged.waiting) - waiting
        return self._note(alerts)

    def pass_time(self, until_ms: int) -> list[Alert]:
        """What the timers do once the watermark is at `until_ms`."""
        if self.visitor is None:
            return []
        alert_state, alerts = on_deadline(
            self.alert_state, "u1", self.visitor, self.score, until_ms, self.rules
        )
        if self.visitor.head.last_ms + self.rules.idle_ms < until_ms:
            fired = fired_in(self.alert_state, alerts)
            self.unjudged = judge_end(
                self.unjudged, self.visitor.head, fired, self.tally, idle_ms=self.rules.idle_ms
            )
            self.visitor, _ = end_session(self.visitor, idle_ms=self.rules.idle_ms)
        self.alert_state = alert_state
        return self._note(alerts)

    @property
    def next_ms(self) -> int | None:
        """The deadline to set now."""
        assert self.visitor is not None
        return next_deadline_ms(self.alert_state, self.visitor, self.score, self.rules)

    def _note(self, alerts: Sequence[Alert]) -> list[Alert]:
        count_alerts(alerts, self.tally)
        self.alerts += alerts
        return list(alerts)
