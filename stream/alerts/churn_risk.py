"""The rule of `churn_risk`: a visitor with intent is about to leave without buying."""

from dataclasses import dataclass

from contracts.alerts import CHURN_RISK, Alert
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import Session
from contracts.visitor_alerts import KindState, VisitorAlerts
from models.alert_threshold import rank_of_chance
from models.silence import SilenceCurve, hear_silence
from stream.alerts.grounds import say_grounds
from stream.alerts.rules import (
    PURCHASE,
    Decision,
    Fact,
    Firing,
    Silence,
    VisitorRule,
    VisitorView,
    may_fire,
)
from stream.alerts.visitor_details import CartValues, describe_visitor, say_silence

MAX_REASONS = 3


@dataclass(frozen=True)
class ChurnRisk(VisitorRule):
    """Fires where there is intent, nothing bought in the session and the chance of a purchase under `fire`.

    Intent is something in the cart or, unless `needs_cart`, an earlier chance of `intent`. The chance is that
    of a new score or, where it is shorter than a session's gap, the one after `look_again_ms` of silence.
    After an alert another one needs a chance of `rearm` in between. See `contracts.settings` for each.
    """

    fire: float
    rearm: float
    intent: float
    needs_cart: bool
    look_again_ms: int
    idle_ms: int
    ttl_ms: int
    cooldown_ms: int
    values: CartValues
    curve: SilenceCurve

    kind = CHURN_RISK
    concerns_all = False
    acts_on = frozenset()

    @classmethod
    def of(cls, settings: Settings, curve: SilenceCurve) -> "ChurnRisk":
        """The rule with these settings."""
        return cls(
            settings.churn_fire, settings.churn_rearm, settings.churn_intent, settings.churn_needs_cart,
            settings.look_again_ms, settings.idle_ms, settings.alert_ttl_ms, settings.alert_cooldown_ms,
            CartValues.of(settings), curve,
        )  # fmt: skip

    @property
    def silence(self) -> Silence | None:
        """A silence as long as the session's gap cannot happen within one."""
        if self.look_again_ms >= self.idle_ms:
            return None
        return Silence(self.look_again_ms, Fact.SCORED | Fact.NOT_BOUGHT, is_enough=False)

    def heeds(self, session: Session, score: Score) -> bool:
        """A score is nothing to a visitor without intent."""
        return bool(session.cart) or self._is_intent(score)

    def on_score(self, alerts: VisitorAlerts, view: VisitorView, score: Score) -> Decision:
        """Arm, mark intent, and fire if the chance is low."""
        kept = alerts.of(CHURN_RISK)
        armed, intent = score.purchase >= self.rearm, self._is_intent(score)
        if (armed and not kept.armed) or (intent and not kept.intent):
            kept = kept._replace(armed=kept.armed or armed, intent=kept.intent or intent)
        if score.purchase >= self.fire or not self._is_news(kept, view.session):
            return kept, None
        if not may_fire(alerts, CHURN_RISK, score.at_ms):  # to say what the alert would say is work
            return kept, None
        reasons = self._say_grounds(view, score, score.at_ms, MAX_REASONS)
        firing = describe_visitor(
            alerts, view, self.values,
            at_ms=score.at_ms, purchase=score.purchase, threshold=self.fire, reasons=reasons,
        )  # fmt: skip
        return kept, self._rank(firing, view, score)

    def waits(self, kept: KindState, view: VisitorView) -> bool:
        """A silence says something of whoever a low chance would be news of."""
        return self._is_news(kept, view.session)

    def on_silence(self, alerts: VisitorAlerts, view: VisitorView, at_ms: int) -> Decision:
        """Fire if the silence has brought the chance under the threshold."""
        kept = alerts.of(CHURN_RISK)._replace(looked_ms=at_ms)
        if view.score is None:
            return kept, None
        score = hear_silence(view.score, self.look_again_ms, self.curve)
        if score.purchase >= self.fire:
            return kept, None
        grounds = self._say_grounds(view, score, at_ms, MAX_REASONS - 1)
        reasons = (say_silence(self.look_again_ms), *grounds)
        firing = describe_visitor(
            alerts, view, self.values,
            at_ms=at_ms, purchase=score.purchase, threshold=self.fire, reasons=reasons,
        )  # fmt: skip
        return kept, self._rank(firing, view._replace(previous=view.score), score)

    def after_firing(self, kept: KindState) -> KindState:
        """Another one needs a higher chance in between, or a new session."""
        return kept._replace(armed=False)

    def is_settled(self, alert: Alert, rank: int, at_ms: int) -> bool:
        """A purchase settles an alert of a session that had begun by then."""
        return rank == PURCHASE and at_ms >= int(alert.detail.session_start_ms)

    def expires_ms(self, alert: Alert, session: Session) -> int:
        """With the session, or after `ttl_ms` in one that does not end."""
        return min(session.last_ms + self.idle_ms, alert.fired_ms + self.ttl_ms)

    def _rank(self, firing: Firing, view: VisitorView, score: Score) -> Firing:
        """With how urgent it is now, and was at the score before if it was a candidate by then."""
        previous = view.previous
        was_candidate = (
            previous is not None
            and previous.session == score.session
            and previous.purchase < self.fire
            and any(line.added_ms <= previous.at_ms for line in view.session.cart.values())
        )
        before = rank_of_chance(1 - previous.purchase) if previous is not None and was_candidate else 0
        return firing._replace(rank=rank_of_chance(1 - score.purchase), before=before, needs_model=True)

    def _is_intent(self, score: Score) -> bool:
        """Whether a chance this high is intent by itself."""
        return not self.needs_cart and score.purchase >= self.intent

    def _is_news(self, kept: KindState, session: Session) -> bool:
        """Whether a low chance of a purchase would be news: armed, nothing bought, and intent."""
        has_intent = bool(session.cart) or (kept.intent and not self.needs_cart)
        return kept.armed and not session.counts[PURCHASE] and has_intent

    def _say_grounds(self, view: VisitorView, score: Score, at_ms: int, limit: int) -> tuple[str, ...]:
        return say_grounds(view, score.reasons, at_ms=at_ms, currency=self.values.currency, limit=limit)
