"""The outermost layer: request ids, security headers, request metrics, the last catch of our own mistakes."""

import logging
import os
import re
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.cross_origin import CROSS_ORIGIN, CROSS_ORIGIN_HEADERS
from api.http.errors import internal_problem
from api.http.metrics import ApiMetrics
from api.http.request_log import REQUEST_ID, RequestLog
from api.identity.guard import settle
from api.identity.key_text import holds_key
from api.identity.quotas import Balance
from api.services import services_of

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class RequestContext:
    """Wraps the whole app, so that even an answer to a crash carries headers and is counted."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, log: RequestLog) -> None:
        self._app = app
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only HTTP requests are touched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = _find_id(scope) or os.urandom(16).hex()
        token = REQUEST_ID.set(request_id)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *state.get(CROSS_ORIGIN_HEADERS, ()),
                    *_RAW_HEADERS,
                    _resource_policy(state),
                    (b"x-request-id", request_id.encode()),
                    *_balance_headers(state),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _log.exception("unexpected error in a request")
            if status:  # the answer has begun: cutting the connection is all that is left
                raise
            await internal_problem()(scope, receive, send_with_headers)
        finally:
            route, method, duration_s = _template(scope), scope["method"], time.perf_counter() - started
            self._metrics.observe(route, method, status, duration_s)
            self._log.write(route, method, status, duration_s, state)
            REQUEST_ID.reset(token)
            if state.get("owes_request") is not None:
                await settle(services_of(scope["app"]).access, state)


def _resource_policy(state: dict[str, Any]) -> tuple[bytes, bytes]:
    """What pages of other origins may load or send to; all else only our own."""
    policy = b"cross-origin" if state.get(CROSS_ORIGIN) else b"same-origin"
    return b"cross-origin-resource-policy", policy


def _balance_headers(state: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    balance: Balance | None = state.get("balance")
    if balance is None:
        return []
    return [(name.lower().encode(), value.encode()) for name, value in balance.headers().items()]


def _find_id(scope: Scope) -> str:
    """The caller's id of the request, if it is one that can go anywhere; else empty."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) and not holds_key(text) else ""
    return ""


def _template(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", None) or "unmatched")
