"""The rule of `cart_abandoned`: a visitor put something into the cart and went silent."""

from dataclasses import dataclass

from contracts.alerts import CART_ABANDONED, Alert
from contracts.scores import Score
from contracts.settings import Settings
from contracts.visitor import Session
from contracts.visitor_alerts import VisitorAlerts
from models.alert_threshold import rank_of_value
from models.silence import SilenceCurve, hear_silence
from stream.alerts.offers import describe_cart
from stream.alerts.rules import PURCHASE, Decision, Fact, Silence, VisitorRule, VisitorView
from stream.alerts.visitor_details import CartValues, describe_visitor, say_silence


@dataclass(frozen=True)
class CartAbandoned(VisitorRule):
    """Fires after `cart_idle_ms` of silence in a session in which the cart was filled and nothing bought.

    It needs no model; where there is a score, the alert says the chance after the silence. A cart counts as
    lost `recovery_ms` after the firing.
    """

    cart_idle_ms: int
    recovery_ms: int
    cooldown_ms: int
    values: CartValues
    curve: SilenceCurve

    kind = CART_ABANDONED
    concerns_all = False
    acts_on = frozenset()

    @classmethod
    def of(cls, settings: Settings, curve: SilenceCurve) -> "CartAbandoned":
        """The rule with these settings; a silence longer than the session's gap cannot happen within one."""
        cart_idle_ms = min(settings.cart_idle_ms, settings.idle_ms)
        return cls(
            cart_idle_ms,
            settings.cart_recovery_ms,
            settings.alert_cooldown_ms,
            CartValues.of(settings),
            curve,
        )

    @property
    def silence(self) -> Silence:
        """Every cart that was filled in this session and left without buying."""
        return Silence(self.cart_idle_ms, Fact.CART | Fact.ADDED | Fact.NOT_BOUGHT, is_enough=True)

    def heeds(self, session: Session, score: Score) -> bool:  # noqa: ARG002  # a rule's method
        """It needs no model."""
        return False

    def on_silence(self, alerts: VisitorAlerts, view: VisitorView, at_ms: int) -> Decision:
        """The cart is abandoned."""
        reasons = (say_silence(self.cart_idle_ms), describe_cart(view.session.cart, self.values.currency))
        score = view.score and hear_silence(view.score, self.cart_idle_ms, self.curve)
        purchase = None if score is None else score.purchase
        firing = describe_visitor(
            alerts, view, self.values, at_ms=at_ms, purchase=purchase, threshold=None, reasons=reasons
        )
        return alerts.of(CART_ABANDONED), firing._replace(
            rank=rank_of_value(firing.detail.at_risk_minor or 0)
        )

    def is_settled(self, alert: Alert, rank: int, at_ms: int) -> bool:
        """A purchase settles an alert of a session that had begun by then."""
        return rank == PURCHASE and at_ms >= int(alert.detail.session_start_ms)

    def expires_ms(self, alert: Alert, session: Session) -> int:  # noqa: ARG002  # a rule's method
        """When the cart counts as lost, whatever the session does."""
        return alert.fired_ms + self.recovery_ms
