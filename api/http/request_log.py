"""One line per request, without anything the client wrote; and the id by which other lines belong to it."""

import logging
import random
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being served; empty outside of one."""

_log = logging.getLogger("api.request_log")  # documented: filters of logs name it


class RequestLog:
    """Logs requests that failed always, and of the others a share (0 to 1)."""

    def __init__(self, share: float) -> None:
        self._share = share

    def write(
        self, route: str, method: str, status: int, duration_s: float, state: Mapping[str, Any]
    ) -> None:
        """Logs one request by the template of its route; a status of 0 is an answer nobody waited for."""
        if 200 <= status < 400 and random.random() >= self._share:
            return
        fields = {
            "request_id": state.get("request_id", ""),
            "route": route,
            "method": method,
            "status": status,
            "duration_ms": round(duration_s * 1_000, 3),
            "key_id": state.get("key_id", ""),
        }
        level = logging.WARNING if status >= 500 else logging.INFO
        duration_ms = fields["duration_ms"]
        _log.log(level, "%s %s %d in %.1f ms", method, route, status, duration_ms, extra=fields)
