"""Tickets for streams: one use, one minute, for browsers, whose `EventSource` cannot send a key."""

import hashlib
import secrets
from http import HTTPStatus
from typing import Any

import orjson

from api.http.errors import Problem
from api.identity.principal import Principal, Scope
from readers.reader import Reader

TICKET_TTL_S = 60


async def issue_ticket(reader: Reader, principal: Principal) -> str:
    """A ticket that speaks for the principal once; Redis keeps only its hash."""
    ticket = secrets.token_urlsafe(32)
    holder = orjson.dumps({"key_id": principal.key_id, "name": principal.name})
    await reader.redis.set(_key(reader, ticket), holder, ex=TICKET_TTL_S)
    return ticket


async def redeem_ticket(reader: Reader, ticket: str) -> Principal:
    """Whom the ticket speaks for: they may read alerts and nothing else. Raises `Problem` 401."""
    holder: Any = await reader.redis.getdel(_key(reader, ticket))
    if holder is None:
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            "ticket.invalid",
            "the ticket is unknown, already used or older than a minute",
            headers={"WWW-Authenticate": 'Bearer realm="storepulse"'},
        )
    fields = orjson.loads(holder)
    scopes = frozenset((Scope.ALERTS_READ,))
    return Principal(fields["key_id"], fields["name"], scopes, is_publishable=False)


def _key(reader: Reader, ticket: str) -> str:
    return reader.keys.stream_ticket(hashlib.sha256(ticket.encode()).hexdigest())
