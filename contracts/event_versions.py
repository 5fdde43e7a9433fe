"""Versions of the event contract: fields of an earlier one get the names of the present one."""

from collections.abc import Callable
from typing import Any

from contracts.fields import InvalidEvent, kind_of

SCHEMA_VERSION = 2
"""Version written by `encode`. Version 1 has the column names of the public REES46 files."""
_V1_NAMES = {"user_session": "session_id", "category_code": "category"}


def _upcast_v1(fields: dict[str, Any]) -> dict[str, Any]:
    """REES46 column names: `user_session`, `category_code`, `event_time` as `2019-10-01 00:00:00 UTC`."""
    renamed = {_V1_NAMES.get(name, name): value for name, value in fields.items()}
    time = renamed.get("event_time")
    if type(time) is str and time.endswith(" UTC"):
        renamed["event_time"] = time.removesuffix(" UTC") + "Z"
    return renamed


_UPCASTS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _upcast_v1}


def upcast(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the current schema version names them; raises `InvalidEvent` for an unknown version."""
    version = fields.get("schema", 1 if "user_session" in fields else SCHEMA_VERSION)
    if version == SCHEMA_VERSION and type(version) is int:
        return fields
    lift = _UPCASTS.get(version) if type(version) is int else None
    if lift is None:
        known = ", ".join(str(v) for v in (*_UPCASTS, SCHEMA_VERSION))
        raise InvalidEvent("schema.unsupported", f"schema must be one of {known}, got {kind_of(version)}")
    return lift({name: value for name, value in fields.items() if name != "schema"})
