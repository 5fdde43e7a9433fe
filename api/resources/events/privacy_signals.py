"""Visitors who object to being followed: how they say so, and what is kept of their events."""

import hmac
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from contracts.fields import InvalidEvent, identifier

Mode = Literal["anonymise", "drop", "ignore"]

CONSENT_FIELDS = frozenset(("consent", "context"))
_KEPT = (
    "event_type", "event_time", "event_id", "product_id", "price", "currency", "quantity", "category",
    "brand", "items", "total", "value",
)  # fmt: skip
_REPLACED = ("user_id", "anonymous_id", "session_id", "order_id")
"""An order is looked up in a second: its id would tell who it was."""
_ITEM_FIELDS = frozenset((
    "product_id", "item_id", "id", "sku", "price", "quantity", "currency", "category", "brand", "item_brand",
    "item_category", "item_category2", "item_category3", "item_category4", "item_category5",
))  # fmt: skip


class Objection(NamedTuple):
    """What an objection comes to: the mode, the key of pseudonyms, and whether all events have one."""

    mode: Mode
    salt: bytes = b""
    is_general: bool = False


NO_OBJECTION = Objection("ignore")


def objects_by_header(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the browser, or a tracker in its name, says so of the whole request; names in lower case."""
    return headers.get(b"sec-gpc") == b"1" or headers.get(b"dnt") == b"1" or b"sp-anonymous" in headers


def denies_consent(fields: Mapping[str, Any]) -> bool:
    """Whether an event or a batch says of itself that there is no consent: `consent`, or in `context`."""
    if _is_denial(fields.get("consent")):
        return True
    context = fields.get("context")
    return type(context) is dict and _is_denial(context.get("consent"))


def anonymise(fields: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """Only the fields the contract knows, with pseudonyms for visitor, session and order.

    The same salt gives the same pseudonym, so sessions and funnels are whole while it lives; without it
    nobody can find the way back. Ids that break a rule stay as they are, to be refused for it.
    """
    kept = {name: fields[name] for name in _KEPT if name in fields}
    for name in _REPLACED:
        if name == "user_id" and fields.get("anonymous_id") is not None:
            continue  # nobody is to know who it is that objects
        if fields.get(name) is not None:
            kept[name] = _pseudonym(name, fields[name], salt)
    if type(kept.get("items")) is list:
        kept["items"] = [_reduce_item(item) for item in kept["items"]]
    return kept


def _is_denial(consent: object) -> bool:
    return consent is False or (type(consent) is str and consent.lower() == "denied")


def _reduce_item(item: Any) -> Any:
    return {name: item[name] for name in item if name in _ITEM_FIELDS} if type(item) is dict else item


def _pseudonym(field: str, value: object, salt: bytes) -> object:
    try:
        text = identifier(field, value)
    except InvalidEvent:
        return value
    return hmac.digest(salt, f"{field}:{text}".encode(), "sha256")[:16].hex()
