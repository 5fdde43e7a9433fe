"""The JSON of an alert, as it lies on the topic, in the outbox and in the log in Redis."""

from typing import Any

import orjson

from contracts.alerts import fields
from contracts.alerts.envelope import Alert, AlertState, Severity
from contracts.alerts.fields import InvalidAlert
from contracts.alerts.kinds import find_kind, plain_detail
from contracts.alerts.visitor_kinds import FLAT_KINDS, decode_flat, encode_flat
from contracts.fields import kind_of
from contracts.subjects import SITE, Subject, SubjectKind

ALERT_SCHEMA = 1


def encode_alert(alert: Alert) -> bytes:
    """The step as JSON; `decode_alert` gives it back."""
    record = encode_flat(alert) if alert.kind in FLAT_KINDS else _encode_envelope(alert)
    record.pop("customer_id", None)
    if alert.customer_id is not None:
        record["customer_id"] = alert.customer_id
    return orjson.dumps({"schema": ALERT_SCHEMA, "record_id": alert.record_id} | record)


def decode_alert(raw: bytes | None) -> Alert:
    """The step in `raw`. Unknown fields are ignored; raises `InvalidAlert` naming field and rule.

    A kind that this process does not know is no mistake where the record has the form of an envelope: its
    detail stays as it is, so that readers show and deliver what a newer worker or one with an extension told.
    """
    if raw is None:
        raise InvalidAlert("alert.empty", "a record without a value is not an alert")
    try:
        record = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidAlert("alert.not_json", f"must be UTF-8 JSON: {exc}") from exc
    if type(record) is not dict:
        raise InvalidAlert("alert.not_object", f"must be a JSON object, got {kind_of(record)}")
    if type(record.get("schema")) is not int or record["schema"] != ALERT_SCHEMA:
        raise InvalidAlert("schema.unsupported", f"schema must be {ALERT_SCHEMA}")
    is_envelope = "subject" in record and record.get("kind") not in FLAT_KINDS
    alert = _decode_envelope(record) if is_envelope else decode_flat(record)
    if alert.at_ms < alert.fired_ms:
        raise InvalidAlert("at_ms.before_firing", "at_ms must not be before fired_ms")
    if alert.state is AlertState.FIRING and alert.at_ms != alert.fired_ms:
        raise InvalidAlert("at_ms.not_firing", "at_ms of a firing alert must be its fired_ms")
    return alert


def _encode_envelope(alert: Alert) -> dict[str, Any]:
    record = alert._asdict()
    record["subject"] = alert.subject._asdict()
    record["detail"] = plain_detail(alert.kind, alert.detail)
    return record


def _decode_envelope(record: dict[str, Any]) -> Alert:
    alert = Alert(**{name: check(name, record.get(name)) for name, check in _CHECKS.items()})
    spec = find_kind(alert.kind)
    if spec is None:
        return alert
    if alert.subject.kind not in spec.subjects:
        known = ", ".join(sorted(spec.subjects))
        raise InvalidAlert("subject.kind.unfit", f"subject.kind of {alert.kind} must be one of {known}")
    return alert._replace(detail=spec.decode_detail(alert.detail))


def _subject(name: str, value: object) -> Subject:
    said = fields.fields_of(name, value)
    kind = SubjectKind(fields.one_of(SubjectKind)(f"{name}.kind", said.get("kind")))
    return SITE if kind is SubjectKind.SITE else Subject(kind, fields.text(f"{name}.id", said.get("id")))


_CHECKS: dict[str, fields.Check] = {
    "alert_id": fields.text,
    "kind": fields.text,
    "state": fields.one_of(AlertState),
    "severity": fields.one_of(Severity),
    "subject": _subject,
    "episode": fields.count,
    "at_ms": fields.count,
    "fired_ms": fields.count,
    "live": fields.flag,
    "detail": fields.fields_of,
    "model": fields.or_null(fields.text),
    "threshold": fields.or_null(fields.number),
    "reasons": fields.texts,
    "customer_id": fields.or_null(fields.text),
}
