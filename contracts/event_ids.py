"""Ids made of what an event says."""

import hashlib
from typing import Any

import orjson

from contracts.fields import InvalidEvent
from contracts.order_fields import REFUND


def content_id(*parts: object) -> str:
    """A deterministic event id from what the event says: the same parts give the same id."""
    return hashlib.blake2b(orjson.dumps(parts, default=str), digest_size=12).hexdigest()


def derive_id(fields: dict[str, Any]) -> str:
    """The id of an event that names none: objects that say the same are one event.

    A refund of an order is the same whenever it is told: two that are alike need ids. Raises `InvalidEvent`
    for values that are nested too deeply to be written again.
    """
    is_refund = fields.get("event_type") == REFUND and fields.get("order_id") is not None
    left_out = ("schema", "event_time") if is_refund else ("schema",)
    try:
        return content_id({name: fields[name] for name in sorted(fields) if name not in left_out})
    except TypeError as exc:
        raise too_deep(exc) from exc


def too_deep(exc: TypeError) -> InvalidEvent:
    """What to raise where values are nested too deeply: orjson reads 1,024 levels but writes only 254."""
    return InvalidEvent("event.too_deep", f"must be serialisable as JSON: {exc}")
