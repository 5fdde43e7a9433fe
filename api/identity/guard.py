"""The dependencies by which a route says what its caller must be allowed to do, and finds out who it is."""

import contextlib
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from fastapi import Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.identity.access import Access
from api.identity.credentials import read_authorization, several, unauthorized
from api.identity.key_text import holds_key, parse_key
from api.identity.principal import ANYONE, UNIDENTIFIED, Principal, Scope
from api.services import services_of

KeyInBody = Literal["no", "text", "any"]
"""Whether the key may come in the body: never, in one of `text/plain` only, in one of any type."""
_UNLIMITED = Scope.OPERATIONS_READ
"""Whoever watches must see it however much is going on, and while Redis is away."""


MARK = "guard "
"""Begins the name under which FastAPI puts a guard into its document (`api.identity.documentation`)."""


class Guard(SecurityBase):
    """A dependency that gives the caller, if they have the scope."""

    def __init__(self, scope: Scope, *, key_in_body: KeyInBody, key_in_query: str | None) -> None:
        self.scope = scope
        self.key_in_body = key_in_body
        self.key_in_query = key_in_query
        self.model = HTTPBearer()
        self.scheme_name = f"{MARK}{scope}?{key_in_query or ''}"

    def describe(self) -> dict[str, Any]:
        """What a route that asks the guard itself, not as a dependency, gives as `openapi_extra`."""
        return {"security": [{self.scheme_name: []}]}

    async def __call__(self, request: Request) -> Principal:
        """The caller; raises `Problem` 401, 403, 429 or 503, or `redis.RedisError`."""
        request.state.presented = None
        in_query = self._read_query(request)
        access, headers = access_of(request), request.headers
        if not await access.needs_key():
            access.check_local(request.method, headers.get("host", ""), headers.get("origin"))
            return ANYONE
        in_header = read_authorization(headers.getlist("authorization"))
        if in_query is not None and (in_header is None or parse_key(in_query) is not None):
            _check_exposed(in_query)  # beside a header, a secret of Google's in that place is no key
            if in_header not in (None, in_query):
                raise several()
        presented = request.state.presented = in_header or in_query
        if presented is None:
            if self._awaits_body(request):
                return UNIDENTIFIED
            raise _missing()
        principal = await _admit(request, presented, self.scope)
        if self.scope is Scope.EVENTS_WRITE:  # `spend_events` takes the request with its events
            access.quotas.check_pause(principal)
            request.state.owes_request = principal
        elif self.scope is not _UNLIMITED:
            request.state.balance = await access.quotas.spend_request(principal)
        return principal

    def _awaits_body(self, request: Request) -> bool:
        if self.key_in_body == "any":
            return request.headers.get("content-length") != "0" and _has_body(request)
        return self.key_in_body == "text" and _is_plain_text(request)

    def _read_query(self, request: Request) -> str | None:
        """The key in the parameter that may have one; raises `Problem` 401 for a key elsewhere in the URL."""
        if self.key_in_query is not None:
            values = set(request.query_params.getlist(self.key_in_query))
            if len(values) > 1:
                raise several()
            if values:
                return values.pop() or None
        if holds_key(request.scope["query_string"].decode("latin-1")) or holds_key(request.scope["path"]):
            raise unauthorized(
                "key.in_url",
                "keys in URLs end up in logs: replace this key, and send the new one as Authorization",
            )
        return None


@cache
def require(scope: Scope, *, key_in_body: KeyInBody = "no", key_in_query: str | None = None) -> Guard:
    """A dependency that gives the caller, if they have this scope; raises `Problem` 401, 403, 429 or 503.

    The key comes in the header `Authorization`. Two doors for senders that cannot set headers, neither
    for secret keys:
    `key_in_body`: a request of such a type without the header passes with `UNIDENTIFIED`, and the route MUST
    call `identify` with the key it finds in the body before it takes anything; every route with this flag
    calls it for every request.
    `key_in_query`: the key may come in this query parameter.
    The same arguments give the same object, so a router and its route ask once per request.
    """
    return Guard(scope, key_in_body=key_in_body, key_in_query=key_in_query)


async def identify(request: Request, presented: str | None) -> Principal:
    """Who sends this body; after `require(key_in_body=...)`. `presented` is the key in it, empty or None if
    none is.

    Raises `Problem`: 401 for no key at all, an unknown one, another one than in the header, or a secret key
    in a body; 403 for a wrong origin or a missing scope.
    """
    if not await access_of(request).needs_key():
        return ANYONE
    in_header: str | None = request.state.presented
    if not presented or presented == in_header:
        principal: Principal | None = getattr(request.state, "owes_request", None)
        if principal is None:
            raise _missing()
        return principal
    if in_header is not None:
        raise several()
    _check_exposed(presented)
    principal = await _admit(request, presented, Scope.EVENTS_WRITE)
    request.state.owes_request = principal
    return principal


async def spend_events(request: Request, principal: Principal, n_events: int) -> None:
    """Takes the request and `n_events` off the key's limits, once per request and before Kafka.

    Raises `Problem` 413 or 429, or `redis.RedisError`. The answer's `RateLimit` headers follow by themselves.
    """
    if principal is UNIDENTIFIED:
        raise RuntimeError("a route that takes keys in bodies must call identify before it spends")
    quotas = access_of(request).quotas
    quotas.check_size(principal, n_events)
    request.state.owes_request = None
    request.state.balance = await quotas.spend_events(principal, n_events)


async def is_allowed(request: Request, scope: Scope) -> bool:
    """Whether whoever asks may do this; for paths that are open, but have less to say to strangers."""
    try:
        await require(scope)(request)
    except (Problem, RedisError):
        return False
    return True


async def settle(access: Access, state: dict[str, Any]) -> None:
    """Takes a request off its key's limits that was refused before its events could be counted."""
    principal: Principal | None = state.get("owes_request")
    if principal is not None:
        with contextlib.suppress(Problem, RedisError):
            await access.quotas.spend_request(principal)


def access_of(request: Request) -> Access:
    """The access rules of the application."""
    return services_of(request.app).access


async def _admit(request: Request, presented: str, scope: Scope) -> Principal:
    principal = await access_of(request).recognise(presented, request.headers.get("origin"))
    if scope not in principal.scopes:
        raise Problem(HTTPStatus.FORBIDDEN, "key.scope", f"this key lacks the scope {scope}")
    request.state.key_id = principal.key_id
    return principal


def _check_exposed(presented: str) -> None:
    """Refuses what must not be sent where others read it: secret keys. Raises `Problem` 401."""
    key = parse_key(presented)
    if key is None:
        raise unauthorized(
            "key.unknown", "only keys that can do nothing but send events are accepted there: pk_, ak_, wk_"
        )
    if not key.kind.is_exposed:
        raise unauthorized(
            "key.exposed",
            "a secret key must only be sent as Authorization: replace this key; for senders that cannot "
            "do so, "
            "`storepulse keys create NAME --write-only` makes one",
        )


def _is_plain_text(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/plain"


def _has_body(request: Request) -> bool:
    return "content-length" in request.headers or "transfer-encoding" in request.headers


def _missing() -> Problem:
    return unauthorized("key.missing", "a key is required: Authorization: Bearer <key>")
