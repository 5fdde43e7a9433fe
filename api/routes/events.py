"""`/v1/events`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from api.errors import Problem
from api.events_document import REQUEST_BODY, RESPONSES
from api.identity.guard import require
from api.identity.principal import Scope
from api.intake import check_headers, judge, read_body, split_body
from api.reader import wall_clock_ms
from api.receipts import Receipt
from api.routes.dependencies import CollectorDep, NoQuery, ReaderDep, forbid_store

router = APIRouter(
    prefix="/v1/events",
    tags=["events"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.EVENTS_WRITE))],
)


@router.post(
    "", status_code=HTTPStatus.ACCEPTED, responses=RESPONSES, openapi_extra={"requestBody": REQUEST_BODY}
)
async def post_events(
    request: Request, collector: CollectorDep, reader: ReaderDep, _: Annotated[NoQuery, Query()]
) -> Receipt:
    """Takes one event or an array of up to 1,000, at most 1 MiB, as JSON.

    Each event is held against the event contract on its own; 202 means that Kafka has the accepted ones.
    Unlike in Kafka, `event_time` may be absent: it is then the time of receipt. `event_id` may be absent: it
    is then a digest of the content, so alike events of one time count once. An event that is sent again with
    the same `event_id` is counted once, so give one if you repeat requests after a 503 or a lost answer;
    with neither id nor time, every repetition is another event.
    """
    headers = request.headers
    check_headers(*(headers.get(name, "") for name in ("content-type", "content-encoding", "content-length")))
    body = await read_body(request.stream())
    settings = reader.settings
    verdict = judge(split_body(body), received_ms=wall_clock_ms(), default_currency=settings.currency)
    for refusal in verdict.refusals:
        request.app.state.metrics.count_events("rejected", refusal.code)
    if not verdict.records:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "events.rejected",
            "no event follows the contract; errors says why",
            errors=[refusal.model_dump() for refusal in verdict.refusals],
        )
    await collector.publish(verdict.records)
    return Receipt(
        request_id=request.state.request_id,
        accepted=len(verdict.records),
        rejected=len(verdict.refusals),
        errors=verdict.refusals,
    )
