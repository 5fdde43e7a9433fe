"""`/v1/events`."""

from http import HTTPStatus

import orjson
from fastapi import Request, Response

from api.http.direct_routes import direct_router
from api.http.errors import InvalidQuery, Problem
from api.identity.guard import identify, require
from api.identity.principal import Scope
from api.resources.events.document import PARAMETERS, REQUEST_BODY, RESPONSES
from api.resources.events.ingestion import EventRequest, IngestResult, receipt_of, refusals_of
from api.resources.events.payloads import parse_payload
from api.resources.events.receipts import Receipt

_sender = require(Scope.EVENTS_WRITE, key_in_body="text")
router = direct_router("/v1/events", "events")

_DRY_RUN = {b"": False, b"validate=0": False, b"validate=1": True}
_HEADERS = {"Cache-Control": "no-store"}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Receipt,
    responses=RESPONSES,
    openapi_extra={"requestBody": REQUEST_BODY, "parameters": PARAMETERS, **_sender.describe()},
)
async def post_events(request: Request) -> Response:
    """Accepts up to 1,000 events: one event, an array, a batch, or one JSON object per line.

    Each event is validated separately, so an invalid event does not affect the others. 202 means that Kafka
    has written the accepted events to all in-sync replicas.

    Unlike in Kafka, `event_time` may be absent; the time of receipt is then used. `event_id` may be absent; a
    digest of the content is then used, so identical events with the same time count once. An event that is
    sent again with the same `event_id` is counted once, so set one if you repeat requests after a 503 or a
    lost answer. With neither id nor time, every repeat counts as another event.
    """
    await _sender(request)
    dry_run = _is_dry_run(request)
    with EventRequest(request) as received:
        body = await received.read()
        payload = parse_payload(body, received.content_type)
        sender = await identify(request, payload.key)
        result = await received.ingest(sender, payload, dry_run=dry_run)
    _require_something(result)
    return Response(
        orjson.dumps(receipt_of(received.request_id, result)),
        HTTPStatus.OK if dry_run else HTTPStatus.ACCEPTED,
        _HEADERS,
        "application/json",
    )


def _is_dry_run(request: Request) -> bool:
    """Read by hand, for this path is the busiest."""
    query: bytes = request.scope["query_string"]
    dry_run = _DRY_RUN.get(query)
    if dry_run is not None:
        return dry_run
    if set(request.query_params) == {"validate"}:
        raise InvalidQuery("validate", "not_allowed", "must be 0 or 1")
    raise InvalidQuery("query", "unknown", "has an unknown parameter")


def _require_something(result: IngestResult) -> None:
    """Raises `Problem` if every event was refused."""
    validated = result.validated
    if validated.accepted or validated.dropped:
        return
    raise Problem(
        HTTPStatus.BAD_REQUEST,
        "events.rejected",
        "no event is valid; see errors",
        errors=refusals_of(validated),
    )
