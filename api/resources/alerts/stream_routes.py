"""`/v1/alerts/stream` and the tickets that open it in a browser."""

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from api.http.dependencies import NoQuery, ReaderDep, ServicesDep, forbid_store
from api.http.errors import InvalidQuery
from api.http.event_stream import EventStreamResponse
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.problem_document import describe_problems
from api.resources.alerts.feed import AlertFeed
from api.resources.alerts.queries import AlertStreamQuery, to_cursor
from api.resources.alerts.stream import Subscription, make_events
from api.resources.alerts.tickets import TICKET_TTL_S, issue_ticket, redeem_ticket
from contracts.clock import wall_clock_ms
from readers.alerts.log import parse_cursor
from readers.answers import Answer
from readers.intervals import to_datetime

_reader = require(Scope.ALERTS_READ)
router = APIRouter(prefix="/v1", tags=["alerts"])

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Events: `alert` (data: a step as `/v1/alerts` shows it; id: its cursor), `cursor` (only an id: "
            "at the start, or after steps that were filtered out), and `reset` (steps after the given id "
            "are no "
            "longer stored; the stream continues with the oldest stored)"
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_PROBLEMS = describe_problems(
    {
        401: "No key and no ticket, or an invalid one",
        429: "The key has reached its limit of open streams",
        503: "The process has reached its limit of streams, or Redis is not available",
    }
)


class StreamTicket(Answer):
    """For `/v1/alerts/stream?ticket=`: opens one stream."""

    ticket: str = Field(description="Shown only once")
    expires_at: datetime


async def _find_listener(
    request: Request, reader: ReaderDep, query: Annotated[AlertStreamQuery, Query()]
) -> Principal:
    if query.ticket is not None:
        return await redeem_ticket(reader, query.ticket)
    return await _reader(request)


@router.get(
    "/alerts/stream",
    status_code=200,
    response_class=EventStreamResponse,
    responses={**_EVENTS, **_PROBLEMS},
    openapi_extra=_reader.describe(),
)
async def stream_alerts(
    services: ServicesDep,
    query: Annotated[AlertStreamQuery, Query()],
    principal: Annotated[Principal, Depends(_find_listener)],
    last_event_id: Annotated[
        str | SkipJsonSchema[None],
        Header(
            max_length=41,
            description="Takes precedence over `after`",
            json_schema_extra={"pattern": "^([0-9]{1,19}-[0-9]{1,19})?$"},
        ),
    ] = None,
) -> EventStreamResponse:
    """Alert steps as server-sent events, each once and in order, from now on or after an id.

    A client that reconnects with the last id it received misses nothing that is still stored. Steps are left
    out while their visitor and kind are snoozed.
    """
    feed = services.get(AlertFeed)
    cursor = None if query.after is None else to_cursor(query.after)
    if last_event_id:
        try:
            cursor = parse_cursor(last_event_id)
        except ValueError:
            raise InvalidQuery("last_event_id", "not_cursor", "must be an id of this stream") from None
    if cursor is None:
        cursor = await feed.find_end()
    settings = services.settings
    is_welcome = partial(services.access.still_counts, principal.key_id)
    subscription = Subscription(query.to_filter(), cursor, settings.stream_max_s, is_welcome)
    events = make_events(feed, subscription, services.lifetime.closing)
    return EventStreamResponse(
        events, principal.key_id, services.streams, services.metrics, settings.stream_send_timeout_s
    )


@router.post("/stream-tickets", status_code=HTTPStatus.CREATED, dependencies=[Depends(forbid_store)])
async def create_stream_ticket(
    reader: ReaderDep, principal: Annotated[Principal, Depends(_reader)], _: Annotated[NoQuery, Query()]
) -> StreamTicket:
    """A ticket for one stream, valid for a minute.

    An `EventSource` cannot send a key, and a key in a URL ends up in logs.
    """
    ticket = await issue_ticket(reader, principal)
    return StreamTicket(ticket=ticket, expires_at=to_datetime(wall_clock_ms() + TICKET_TTL_S * 1_000))
