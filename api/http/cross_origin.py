"""Which answers pages of other origins may read: those to events, and only pages that were let in."""

from collections.abc import Collection
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from api.services import services_of

SNIPPET_PATH = "/static/storepulse.js"
"""The one file that is made to be loaded into pages of other origins."""

CROSS_ORIGIN = "cross_origin"
"""The key in the scope's state of what browsers may give to pages of other origins. Also of events: a browser
counts the answer to a beacon as loaded by its page, and reports it as blocked, though nobody can read it."""
CROSS_ORIGIN_HEADERS = "cross_origin_headers"
"""The key in the scope's state of headers that any answer gets; `RequestContext` adds them."""
_MAX_AGE_S = 3_600
_METHODS = "POST"
_HEADERS = "Authorization, Content-Type, Content-Encoding, X-Sent-At"
_EXPOSED = "RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
_RawHeaders = list[tuple[bytes, bytes]]


class CrossOrigin:
    """Answers preflights, and marks answers to events as readable, for origins that a publishable key lists.

    Any other origin gets no CORS headers at all, whatever it asks for. Never with credentials: there are no
    cookies, and a key is sent by whoever has it.
    """

    def __init__(self, app: ASGIApp, paths: Collection[str]) -> None:
        """`paths` are where storefronts send events from their visitors' browsers."""
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection; only requests that send events, and the snippet, are touched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in self._paths:
            scope["state"][CROSS_ORIGIN] = True
            await self._collect(scope, receive, send)
        elif scope["path"] == SNIPPET_PATH:
            scope["state"][CROSS_ORIGIN] = True
            scope["state"][CROSS_ORIGIN_HEADERS] = [(b"access-control-allow-origin", b"*")]
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of two alike the first
        origin = headers.get(b"origin")
        added: _RawHeaders = [(b"vary", b"Origin")]
        if origin is not None:
            access, page = services_of(scope["app"]).access, origin.decode("latin-1")
            if await access.welcomes(page):
                added.append((b"access-control-allow-origin", origin))
                if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                    await _answer_preflight(send, added)
                    return
                added.append((b"access-control-expose-headers", _EXPOSED.encode()))
            else:
                access.report_blocked(page, headers.get(b"host", b"").decode("latin-1"))
        scope["state"][CROSS_ORIGIN_HEADERS] = added
        await self._app(scope, receive, send)


async def _answer_preflight(send: Send, headers: _RawHeaders) -> None:
    headers += [
        (b"access-control-allow-methods", _METHODS.encode()),
        (b"access-control-allow-headers", _HEADERS.encode()),
        (b"access-control-max-age", str(_MAX_AGE_S).encode()),
    ]
    status = HTTPStatus.NO_CONTENT.value
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
