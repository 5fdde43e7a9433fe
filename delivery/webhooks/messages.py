"""Messages: the bodies that receivers get, and their types and ids."""

import re
from typing import Any, NamedTuple

import orjson

from contracts import subjects
from contracts.alerts import CART_ABANDONED, Alert, AlertState, Severity, VisitorDetail, brief_detail
from readers.alerts.rendering import to_alert
from readers.alerts.schemas import Handling
from readers.intervals import to_datetime

MAX_BODY_BYTES = 20_000
"""Receivers are promised that no body is larger."""
TEST_TYPE = "webhook.test"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
"""No dot: the signed text is joined with dots."""


class Message(NamedTuple):
    """What is signed and sent. `message_id` is the same in every attempt: receivers drop repeats by it.

    `user_id` is the visitor or customer it speaks of; empty for none.
    """

    message_id: str
    message_type: str
    body: bytes
    user_id: str = ""


def to_message(alert: Alert, handling: Handling | None = None) -> Message | None:
    """The message of one step and what is done about the alert; None if no message can have its id."""
    if not is_message_id(alert.record_id):
        return None
    message_type = f"alert.{alert.kind}.{alert.state}"
    body = _encode(message_type, alert.at_ms, _data(alert, handling))
    if len(body) > MAX_BODY_BYTES:  # what is left of the product's kinds has bounded fields only
        alert = shorten(alert)
        body = _encode(message_type, alert.at_ms, _data(alert, handling))
    if len(body) > MAX_BODY_BYTES:
        body = _encode(message_type, alert.at_ms, {**_data(alert, handling), "detail": {}})
    return Message(alert.record_id, message_type, body, alert.subject.id if alert.subject.is_personal else "")


def shorten(alert: Alert) -> Alert:
    """The step without what may be long."""
    return alert._replace(reasons=(), detail=brief_detail(alert.kind, alert.detail))


def is_message_id(text: str) -> bool:
    """Whether a message may have this id."""
    return _MESSAGE_ID.fullmatch(text) is not None


def make_test_message(number: str, at_ms: int) -> Message:
    """A message with the data of an alert that never was, and `number` in its id."""
    message_id = f"test-{number}"
    alert = Alert(
        alert_id=message_id,
        kind=CART_ABANDONED,
        state=AlertState.FIRING,
        severity=Severity.LOW,
        subject=subjects.visitor("nobody"),
        episode=1,
        at_ms=at_ms,
        fired_ms=at_ms,
        live=False,
        detail=VisitorDetail(
            session_id=None,
            session=1,
            session_start_ms=at_ms,
            cart_lines=1,
            cart_value_minor=1_990,
            currency="EUR",
            purchase=None,
        ),
        reasons=("this is a test: there is no such visitor",),
    )
    return Message(message_id, TEST_TYPE, _encode(TEST_TYPE, at_ms, _data(alert)))


def _data(alert: Alert, handling: Handling | None = None) -> dict[str, Any]:
    shown = to_alert(alert) if handling is None else to_alert(alert, handling)
    return shown.model_dump(mode="json")


def _encode(message_type: str, at_ms: int, data: dict[str, Any]) -> bytes:
    moment = to_datetime(at_ms).isoformat().replace("+00:00", "Z")
    return orjson.dumps({"type": message_type, "timestamp": moment, "data": data})
