"""Short ways to make alerts."""

from contracts.alerts import Alert, AlertKind, AlertState, Offer, OfferKind, Severity

AT_MS = 1_760_000_000_000
CHURN = Alert(
    "0a1b", AlertKind.CHURN_RISK, AlertState.FIRING, Severity.HIGH, "u1", "s-9", 3, AT_MS - 60_000, 1,
    AT_MS, AT_MS, 2, 5_990, "EUR", 0.08, 0.15, "m-1", True,
    ("no action for 3 minutes", "the usual pause between actions: lowers the chance of a purchase"),
    Offer(OfferKind.CART, ("p1", "p2"), "2 products worth 59.90 EUR in the cart: p1, p2"),
)  # fmt: skip


def make_alert(number: int, **fields: object) -> Alert:
    """The `number`-th of many: fired so many seconds after `AT_MS`, of a visitor of its own."""
    at_ms = AT_MS + number * 1_000
    alert = CHURN._replace(alert_id=f"id{number}", user_id=f"u{number}", at_ms=at_ms, fired_ms=at_ms)
    return alert._replace(**fields)


def make_expired(alert: Alert, after_ms: int = 1_800_000) -> Alert:
    """The step that ends an alert whose visitor did not buy."""
    return alert._replace(state=AlertState.EXPIRED, at_ms=alert.fired_ms + after_ms, reasons=(), offer=None)
