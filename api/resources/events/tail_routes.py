"""`/v1/events/tail`."""

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import ServicesDep
from api.http.errors import Problem
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.problem_document import describe_problems
from api.resources.events.ingestion import Ingestion
from api.resources.events.tail import EventTailResponse, TailSubscription, follow
from api.resources.events.tail_publisher import EVERYTHING

_sender = require(Scope.EVENTS_WRITE)
router = APIRouter(prefix="/v1/events", tags=["events"])

_EXAMPLE = (
    "event: request\n"
    'data: {"received_at":"2025-10-09T08:53:21.250000+00:00","request_id":"5f0c1a52f4a44d6b9b1f6f4c6a8c3e0d",'
    '"key_id":"k7f3","dry_run":false,"accepted":0,"duplicates":0,"rejected":1,"dropped":0,"problem":null,'
    '"events":[],"errors":[{"index":0,"code":"price.negative","detail":"price must not be negative",'
    '"event_id":null}]}\n\n'
)
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Events: `ready` (from now on nothing is missed), `request` (data: the receipt of one request, "
            "up to 20 of its events as in Kafka, and the `problem` it ended with), and `skipped` (data: "
            "how many `requests` were too many to show)"
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
_PROBLEMS = describe_problems(
    {
        401: "No key, or an invalid one",
        403: "The key is not a secret key, or may not watch other keys",
        422: "A parameter is invalid",
        429: "The key has reached its limit of open streams",
        503: "The process has reached its limit of streams, or Redis is not available",
    }
)


class EventTailQuery(BaseModel):
    """Parameters of `/v1/events/tail`."""

    model_config = ConfigDict(extra="forbid")

    key_id: str | None = Field(
        None,
        max_length=64,
        description="Only events sent with this key; other keys than your own require the scope "
        "operations:read",
    )
    for_s: int = Field(600, ge=1, le=3_600, description="End the stream after this many seconds")


@router.get(
    "/tail", status_code=HTTPStatus.OK, response_class=EventTailResponse, responses={**_EVENTS, **_PROBLEMS}
)
async def tail_events(
    services: ServicesDep,
    query: Annotated[EventTailQuery, Query()],
    principal: Annotated[Principal, Depends(_sender)],
) -> EventTailResponse:
    """Events as they are sent, with what becomes of them, as server-sent events: for development.

    A secret key sees the events that it sends; with the scope operations:read, it sees those of all keys.
    Nothing is stored, so earlier events are not shown; under load, some requests are skipped and counted.
    """
    ingestion = services.get(Ingestion)
    watched = _choose(principal, query.key_id)
    is_welcome = partial(services.access.still_counts, principal.key_id)
    watch = TailSubscription(watched, query.for_s, is_welcome)
    reader = services.reader
    return EventTailResponse(
        follow(reader.redis, reader.keys, watch, services.lifetime.closing),
        principal.key_id,
        services.streams,
        services.metrics,
        services.settings.stream_send_timeout_s,
        ingestion.tail_limiter,
    )


def _choose(principal: Principal, key_id: str | None) -> str:
    """What to watch; raises `Problem` 403 if it is not this caller's to see."""
    if principal.is_publishable:
        raise Problem(HTTPStatus.FORBIDDEN, "key.publishable", "watching events needs a secret key")
    if Scope.OPERATIONS_READ in principal.scopes:
        return EVERYTHING if key_id is None else key_id
    if key_id not in (None, principal.key_id):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "key.scope",
            "watching the events of other keys requires the scope operations:read",
        )
    return principal.key_id
