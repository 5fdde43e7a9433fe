"""The two kinds of alerts about visitors with a cart: their detail, and their records on the topic.

Their JSON has all fields side by side: it is older than the envelope, and readers know it.
"""

from enum import StrEnum
from typing import Any, NamedTuple

from contracts.alerts import fields
from contracts.alerts.envelope import Alert, AlertState, Severity
from contracts.alerts.fields import Check, InvalidAlert
from contracts.alerts.kinds import AlertKindSpec, register_kind
from contracts.events import format_minor
from contracts.subjects import SubjectKind, visitor

MAX_VALUE_MINOR = 2**53 - 1
"""Values of carts stop here: the highest integer every JSON reader keeps."""

CHURN_RISK = "churn_risk"
"""A visitor with intent is about to leave without buying; it lives as long as the session."""
CART_ABANDONED = "cart_abandoned"
"""A visitor put something into the cart and went silent; it lives until the cart counts as lost."""
FLAT_KINDS = (CHURN_RISK, CART_ABANDONED)
"""Kinds whose records have no `subject` and no `detail`; the order is that of the state's blobs."""


class Segment(StrEnum):
    """The kind of visitor, as far as the alert tells."""

    NEW = "new"
    """In the first session that is known of them."""
    RETURNING = "returning"


class OfferKind(StrEnum):
    """What a suggested offer is about."""

    CART = "cart"
    BRAND = "brand"
    CATEGORY = "category"


class Offer(NamedTuple):
    """What to offer. `names` are product ids of the cart, most valuable first, or one brand or category."""

    kind: OfferKind
    names: tuple[str, ...]
    words: str


class VisitorDetail(NamedTuple):
    """The visitor at the moment of firing. `offer` is only in the step that fires.

    `session` is the visitor's how many-th, `session_id` the shop's own. `purchase` is the chance of a
    purchase, None where no model was asked; the cart's value and currency are None where no price is known.
    """

    session_id: str | None
    session: int
    session_start_ms: int
    cart_lines: int
    cart_value_minor: int | None
    currency: str | None
    purchase: float | None
    offer: Offer | None = None

    @property
    def segment(self) -> Segment:
        """By the number of the session."""
        return Segment.NEW if self.session == 1 else Segment.RETURNING

    @property
    def at_risk_minor(self) -> int | None:
        """The cart's value times the chance that nothing is bought; None where no price is known."""
        return None if self.cart_value_minor is None else at_risk(self.cart_value_minor, self.purchase)

    @property
    def cart_words(self) -> str:
        """The cart's value, or its number of products where no price is known."""
        if self.cart_value_minor is not None and self.currency is not None:
            return f"{format_minor(self.cart_value_minor, self.currency)} {self.currency}"
        return f"{self.cart_lines} product{'' if self.cart_lines == 1 else 's'}"


def at_risk(value_minor: int, purchase: float | None) -> int:
    """What is expected to be lost of a value, given the chance of a purchase (None: not known, all of it)."""
    return value_minor if purchase is None else round(value_minor * (1 - purchase))


def encode_flat(alert: Alert) -> dict[str, Any]:
    """The fields of the record of a kind in `FLAT_KINDS`, in the order they have there."""
    detail: VisitorDetail = alert.detail
    return {
        "alert_id": alert.alert_id,
        "kind": alert.kind,
        "state": alert.state,
        "severity": alert.severity,
        "user_id": alert.subject.id,
        "session_id": detail.session_id,
        "session": detail.session,
        "session_start_ms": detail.session_start_ms,
        "episode": alert.episode,
        "at_ms": alert.at_ms,
        "fired_ms": alert.fired_ms,
        "cart_lines": detail.cart_lines,
        "cart_value_minor": detail.cart_value_minor,
        "currency": detail.currency,
        "at_risk_minor": detail.at_risk_minor,
        "purchase": detail.purchase,
        "threshold": alert.threshold,
        "model": alert.model,
        "live": alert.live,
        "reasons": alert.reasons,
        "offer": None if detail.offer is None else detail.offer._asdict(),
    }


def decode_flat(record: dict[str, Any]) -> Alert:
    """The step in such fields; raises `InvalidAlert` naming the first that is wrong, and its rule."""
    said = {name: check(name, record.get(name)) for name, check in _FLAT_CHECKS.items()}
    if (said["cart_value_minor"] is None) != (said["currency"] is None):
        raise InvalidAlert(
            "currency.unpaired", "cart_value_minor and currency must both be set or both be null"
        )
    detail = VisitorDetail(**{name: said.pop(name) for name in VisitorDetail._fields})
    return Alert(subject=visitor(said.pop("user_id")), detail=detail, **said)


def _kind(name: str, value: object) -> str:
    if fields.text(name, value) not in FLAT_KINDS:
        raise InvalidAlert(f"{name}.unknown", f"{name} must be one of {', '.join(FLAT_KINDS)}")
    return str(value)


def _offer(name: str, value: object) -> Offer:
    said = fields.fields_of(name, value)
    kind = fields.one_of(OfferKind)(f"{name}.kind", said.get("kind"))
    names = fields.texts(f"{name}.names", said.get("names"))
    return Offer(OfferKind(kind), names, fields.text(f"{name}.words", said.get("words")))


_FLAT_CHECKS: dict[str, Check] = {
    "alert_id": fields.text,
    "kind": _kind,
    "state": fields.one_of(AlertState),
    "severity": fields.one_of(Severity),
    "user_id": fields.text,
    "session_id": fields.or_null(fields.text),
    "session": fields.count,
    "session_start_ms": fields.count,
    "episode": fields.count,
    "at_ms": fields.count,
    "fired_ms": fields.count,
    "cart_lines": fields.count,
    "cart_value_minor": fields.or_null(fields.count),
    "currency": fields.or_null(fields.currency),
    "purchase": fields.or_null(fields.probability),
    "threshold": fields.or_null(fields.probability),
    "model": fields.or_null(fields.text),
    "live": fields.flag,
    "reasons": fields.texts,
    "offer": fields.or_null(_offer),
    "customer_id": fields.or_null(fields.text),
}

VISITOR_CHECKS = {name: _FLAT_CHECKS[name] for name in VisitorDetail._fields}
"""For kinds from outside that say the same of a visitor."""


def _spec(name: str, title: str) -> AlertKindSpec:
    return AlertKindSpec(
        name,
        title,
        frozenset({SubjectKind.VISITOR}),
        VisitorDetail,
        VISITOR_CHECKS,
        describe=lambda detail: detail.cart_words,
        brief=lambda detail: detail._replace(offer=None),
        outcome="bought",
        judged_by_end=True,
    )


register_kind(_spec(CHURN_RISK, "A visitor with intent is about to leave without buying"))
register_kind(_spec(CART_ABANDONED, "A visitor put something into the cart and went silent"))
