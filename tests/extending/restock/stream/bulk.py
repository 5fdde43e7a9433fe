"""A rule about visitors: somebody buys many of one product at once."""

from contracts.alerts import Alert, Severity
from contracts.settings import Settings
from contracts.visitor import Action, Session
from contracts.visitor_alerts import VisitorAlerts
from models.silence import SilenceCurve
from restock.contracts import BULK_BOUGHT, BulkBought
from stream.alerts.registry import register_rule
from stream.alerts.rules import PURCHASE, Decision, Firing, VisitorRule, VisitorView
from stream.registry import Registry

BULK_UNITS = 5


class BulkRule(VisitorRule):
    """Fires at such a purchase and lives as long as the session."""

    kind = BULK_BOUGHT
    cooldown_ms = 0
    acts_on = frozenset({PURCHASE})

    def __init__(self, idle_ms: int) -> None:
        self._idle_ms = idle_ms

    @classmethod
    def of(cls, settings: Settings, curve: SilenceCurve) -> "BulkRule":
        """The rule with these settings."""
        return cls(settings.idle_ms)

    def on_action(self, alerts: VisitorAlerts, view: VisitorView, action: Action) -> Decision:
        """See `VisitorRule.on_action`."""
        kept = alerts.of(self.kind)
        if action.quantity < BULK_UNITS:
            return kept, None
        return kept, Firing(action.at_ms, Severity.LOW, BulkBought(action.product_id, action.quantity))

    def expires_ms(self, alert: Alert, session: Session) -> int:
        """See `VisitorRule.expires_ms`."""
        return session.last_ms + self._idle_ms


def register(registry: Registry) -> None:
    """Register it."""
    register_rule(BulkRule.of)
