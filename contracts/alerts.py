"""The alert: one thing marketing should know of one visitor now, its life cycle and its JSON."""

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.fields import kind_of

ALERT_SCHEMA = 1
MAX_VALUE_MINOR = 2**53 - 1
"""Values of carts stop here: the highest integer every JSON reader keeps."""


class AlertKind(StrEnum):
    """What the alert is about."""

    CHURN_RISK = "churn_risk"
    """A visitor with intent is about to leave without buying; it lives as long as the session."""
    CART_ABANDONED = "cart_abandoned"
    """A visitor put something into the cart and went silent; it lives until the cart counts as lost."""


KINDS = tuple(AlertKind)


class AlertState(StrEnum):
    """firing -> resolved (the visitor bought) or expired (time ran out); both are final."""

    FIRING = "firing"
    RESOLVED = "resolved"
    EXPIRED = "expired"


class Severity(StrEnum):
    """By the value of the cart, or its number of products where no price is known."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Verdict(StrEnum):
    """Whether people found an alert worth having."""

    USEFUL = "useful"
    WRONG = "wrong"


class Segment(StrEnum):
    """What kind of visitor it is, as far as the alert tells."""

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


class Alert(NamedTuple):
    """One step in the life of an alert. Times are event times in ms; `at_ms` is that of this step.

    Cart, severity, probability and threshold are those of the moment of firing, also in later steps, which
    have no reasons and no offer. `episode` counts alerts of a kind in a session, from 1. `purchase` and
    `model` are None where no model was asked, `threshold` where none applies, the cart's value and currency
    where no price is known. `live` is False for what a replay or a very late event came to: it is recorded,
    but nobody should act on it.
    """

    alert_id: str
    kind: AlertKind
    state: AlertState
    severity: Severity
    user_id: str
    session_id: str | None
    session: int
    session_start_ms: int
    episode: int
    at_ms: int
    fired_ms: int
    cart_lines: int
    cart_value_minor: int | None
    currency: str | None
    purchase: float | None
    threshold: float | None
    model: str | None
    live: bool
    reasons: tuple[str, ...] = ()
    offer: Offer | None = None

    @property
    def segment(self) -> Segment:
        """By the number of the session."""
        return Segment.NEW if self.session == 1 else Segment.RETURNING

    @property
    def record_id(self) -> str:
        """The same for every copy of this step, so that readers can drop repeats."""
        return make_record_id(self.alert_id, self.state)


class InvalidAlert(ValueError):  # named as InvalidEvent is
    """Bytes that are not an alert; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def make_alert_id(user_id: str, kind: AlertKind, session: int, episode: int, first_ms: int) -> str:
    """The id of an alert.

    `first_ms` is when the visitor was first seen: a state that expired starts counting sessions anew.
    """
    parts = orjson.dumps([user_id, kind.value, session, episode, first_ms])
    return hashlib.blake2b(parts, digest_size=12).hexdigest()


def make_record_id(alert_id: str, state: AlertState) -> str:
    """The id of the step that brings the alert into this state: every alert comes into a state once."""
    return f"{alert_id}-{state.value}"


def encode_alert(alert: Alert) -> bytes:
    """The step as JSON; `decode_alert` gives it back."""
    fields: dict[str, Any] = {"schema": ALERT_SCHEMA, "record_id": alert.record_id} | alert._asdict()
    if alert.offer is not None:
        fields["offer"] = alert.offer._asdict()
    return orjson.dumps(fields)


def decode_alert(raw: bytes | None) -> Alert:
    """The step in `raw`. Unknown fields are ignored; raises `InvalidAlert` naming field and rule."""
    if raw is None:
        raise InvalidAlert("alert.empty", "a record without a value is not an alert")
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidAlert("alert.not_json", f"must be UTF-8 JSON: {exc}") from exc
    if type(fields) is not dict:
        raise InvalidAlert("alert.not_object", f"must be a JSON object, got {kind_of(fields)}")
    if type(fields.get("schema")) is not int or fields["schema"] != ALERT_SCHEMA:
        raise InvalidAlert("schema.unsupported", f"schema must be {ALERT_SCHEMA}")
    alert = Alert(**{name: check(name, fields.get(name)) for name, check in _CHECKS.items()})
    if alert.at_ms < alert.fired_ms:
        raise InvalidAlert("at_ms.before_firing", "at_ms must not be before fired_ms")
    if alert.state is AlertState.FIRING and alert.at_ms != alert.fired_ms:
        raise InvalidAlert("at_ms.not_firing", "at_ms of a firing alert must be its fired_ms")
    if (alert.cart_value_minor is None) != (alert.currency is None):
        raise InvalidAlert("currency.unpaired", "cart_value_minor and currency must both be there or be null")
    return alert


_Check = Callable[[str, Any], Any]


def _text(name: str, value: object) -> str:
    if type(value) is not str or not value:
        rule = "missing" if value is None else "not_text"
        raise InvalidAlert(f"{name}.{rule}", f"{name} must be a non-empty string, got {kind_of(value)}")
    return value


def _count(name: str, value: object) -> int:
    if type(value) is not int or value < 0:
        rule = "missing" if value is None else "not_count"
        raise InvalidAlert(f"{name}.{rule}", f"{name} must be an integer from 0 up, got {kind_of(value)}")
    return value


def _probability(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidAlert(
            f"{name}.not_probability", f"{name} must be a number from 0 to 1, got {kind_of(value)}"
        )
    return float(value)


def _flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise InvalidAlert(f"{name}.not_boolean", f"{name} must be true or false, got {kind_of(value)}")
    return value


def _currency(name: str, value: object) -> str:
    if type(value) is not str or value not in MINOR_DIGITS:
        raise InvalidAlert(f"{name}.unknown", f"{name} must be an ISO 4217 code, got {kind_of(value)}")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    if type(value) is not list:
        raise InvalidAlert(f"{name}.not_list", f"{name} must be a list of strings, got {kind_of(value)}")
    return tuple(_text(name, item) for item in value)


def _one_of(members: type[StrEnum]) -> _Check:
    def check(name: str, value: object) -> StrEnum:
        try:
            return members(_text(name, value))
        except InvalidAlert:
            raise
        except ValueError:
            known = ", ".join(members)
            raise InvalidAlert(f"{name}.unknown", f"{name} must be one of {known}") from None

    return check


def _offer(_: str, value: object) -> Offer:
    if type(value) is not dict:
        raise InvalidAlert("offer.not_object", f"offer must be an object, got {kind_of(value)}")
    kind = _one_of(OfferKind)("offer.kind", value.get("kind"))
    names = _texts("offer.names", value.get("names"))
    return Offer(OfferKind(kind), names, _text("offer.words", value.get("words")))


def _or_null(check: _Check) -> _Check:
    return lambda name, value: None if value is None else check(name, value)


_CHECKS: dict[str, _Check] = {
    "alert_id": _text,
    "kind": _one_of(AlertKind),
    "state": _one_of(AlertState),
    "severity": _one_of(Severity),
    "user_id": _text,
    "session_id": _or_null(_text),
    "session": _count,
    "session_start_ms": _count,
    "episode": _count,
    "at_ms": _count,
    "fired_ms": _count,
    "cart_lines": _count,
    "cart_value_minor": _or_null(_count),
    "currency": _or_null(_currency),
    "purchase": _or_null(_probability),
    "threshold": _or_null(_probability),
    "model": _or_null(_text),
    "live": _flag,
    "reasons": _texts,
    "offer": _or_null(_offer),
}
