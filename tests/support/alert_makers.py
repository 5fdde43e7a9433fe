"""Short ways to make alerts."""

from typing import Any

from contracts.alerts import (
    CHURN_RISK,
    Alert,
    AlertState,
    Offer,
    OfferKind,
    Severity,
    VisitorDetail,
)
from contracts.subjects import visitor

AT_MS = 1_760_000_000_000
CHURN = Alert(
    "0a1b", CHURN_RISK, AlertState.FIRING, Severity.HIGH, visitor("u1"), 1, AT_MS, AT_MS, True,
    VisitorDetail(
        "s-9", 3, AT_MS - 60_000, 2, 5_990, "EUR", 0.08,
        Offer(OfferKind.CART, ("p1", "p2"), "2 products worth 59.90 EUR in the cart: p1, p2"),
    ),
    "m-1", 0.15,
    ("no action for 3 minutes", "the usual pause between actions: lowers the chance of a purchase"),
)  # fmt: skip


def change_alert(alert: Alert, **fields: Any) -> Alert:
    """The alert with other values, those of its detail and `user_id` among them."""
    if "user_id" in fields:
        fields["subject"] = visitor(str(fields.pop("user_id")))
    inner = {name: fields.pop(name) for name in list(fields) if name in VisitorDetail._fields}
    return alert._replace(detail=alert.detail._replace(**inner), **fields)


def make_alert(number: int, **fields: Any) -> Alert:
    """The `number`-th of many: fired so many seconds after `AT_MS`, of a visitor of its own."""
    at_ms = AT_MS + number * 1_000
    alert = CHURN._replace(alert_id=f"id{number}", subject=visitor(f"u{number}"), at_ms=at_ms, fired_ms=at_ms)
    return change_alert(alert, **fields)


def make_expired(alert: Alert, after_ms: int = 1_800_000) -> Alert:
    """The step that ends an alert whose visitor did not buy."""
    return change_alert(
        alert, state=AlertState.EXPIRED, at_ms=alert.fired_ms + after_ms, reasons=(), offer=None
    )
