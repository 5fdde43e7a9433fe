"""What the product's rules say of a visitor with a cart: severity, value, offer."""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.alerts import Severity, VisitorDetail, at_risk
from contracts.settings import Settings
from contracts.visitor import CartLine
from contracts.visitor_alerts import VisitorAlerts
from stream.alerts.offers import suggest_offer, value_of
from stream.alerts.rules import Firing, VisitorView

MEDIUM_LINES = 2
HIGH_LINES = 5
"""Products in a cart of unknown value that make an alert medium and high."""


@dataclass(frozen=True, slots=True)
class CartValues:
    """From which value of a cart on an alert is medium or high, in minor units of the shop's currency."""

    currency: str
    medium_minor: int
    high_minor: int

    @classmethod
    def of(cls, settings: Settings) -> "CartValues":
        """The values in the settings."""
        return cls(settings.currency, settings.severity_medium_minor, settings.severity_high_minor)


def describe_visitor(
    alerts: VisitorAlerts,
    view: VisitorView,
    values: CartValues,
    *,
    at_ms: int,
    purchase: float | None,
    threshold: float | None,
    reasons: tuple[str, ...],
) -> Firing:
    """The firing of an alert about this visitor at this moment, for these reasons."""
    session = view.session
    value_minor, currency = value_of(session.cart, values.currency)
    actions = [] if view.tail is None else view.tail.actions()
    offer = suggest_offer(session.cart, actions, at_ms=at_ms, currency=values.currency)
    detail = VisitorDetail(
        session.session_id, alerts.session, session.start_ms, len(session.cart), value_minor, currency,
        purchase, offer,
    )  # fmt: skip
    model = None if view.score is None else view.score.version
    severity = severity_of(session.cart, values, purchase)
    return Firing(at_ms, severity, detail, reasons, model, threshold)


def severity_of(cart: Mapping[str, CartLine], values: CartValues, purchase: float | None) -> Severity:
    """By the value at risk where a line has a price in the shop's currency, else by number of products.

    That is the cart's value times the chance that nothing is bought; all of it where no model was asked.
    """
    value_minor, currency = value_of(cart, values.currency)
    if value_minor is None or currency != values.currency:
        amount, medium, high = len(cart), MEDIUM_LINES, HIGH_LINES
    else:
        amount, medium, high = at_risk(value_minor, purchase), values.medium_minor, values.high_minor
    if amount >= high:
        return Severity.HIGH
    return Severity.MEDIUM if amount >= medium else Severity.LOW


def say_silence(silence_ms: int) -> str:
    """A silence in words, in minutes from two minutes up.

    `more than`, as it is told of when the watermark has passed its end: by then it has lasted longer.
    """
    seconds = silence_ms // 1_000
    lasted = f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
    return f"no action for more than {lasted}"
