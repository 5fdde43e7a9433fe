"""Where libraries of Segment and senders of GA4 send to: what they send is translated, then as any event."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from api.http.bodies import bad_body, open_envelope, parse_body
from api.http.dependencies import forbid_store
from api.identity.guard import identify, require
from api.identity.principal import Principal, Scope
from api.resources.adapters import document, ga4, segment
from api.resources.adapters.translation import Translation
from api.resources.events.ingestion import EventRequest, IngestResult, receipt_of, refusals_of
from api.resources.events.payloads import MAX_EVENTS, Payload
from api.services import services_of
from contracts.fields import kind_of
from contracts.json_content import JsonContent, settle

router = APIRouter(tags=["adapters"], dependencies=[Depends(forbid_store)], responses=document.RESPONSES)

_caller = require(Scope.EVENTS_WRITE, key_in_body="any")
_sender = require(Scope.EVENTS_WRITE, key_in_query="api_secret")
Caller = Annotated[Principal, Depends(_caller)]
Sender = Annotated[Principal, Depends(_sender)]

_IGNORED_CALLS = ("page", "screen", "group")
_NOTHING = Translation([], [], 1)


class Ga4Query(BaseModel):
    """What GA4 wants in the URL; which stream it is makes no difference here.

    Senders add parameters of their own (`_p`, `gtm`, `tid`, what keeps caches away): as Google does, these
    routes read what they need and ignore the rest.
    """

    model_config = ConfigDict(extra="ignore")

    api_secret: str | None = Field(
        default=None, description="A key for pages, apps or servers that only sends events"
    )
    measurement_id: str | None = Field(default=None, description="Of a web stream; ignored, as any other is")
    firebase_app_id: str | None = Field(default=None, description="Of an app; ignored")


@router.post("/v1/track", response_model=document.SegmentReceipt, openapi_extra=document.CALL_BODY)
async def post_track(request: Request, _: Caller) -> Response:
    """Accepts a `track` call of Segment's ecommerce spec; other calls are ignored and counted.

    200 means that the call was read, as with Segment; if the event is invalid, `errors` says why.
    """
    with EventRequest(request) as received:
        content = _read_object(await received.read())
        sender = await identify(request, _write_key_of(content.value))
        call = content.value if content.is_plain else settle(content.value)
        is_whole = type(call) is dict
        translation = segment.translate_call(call) if is_whole else Translation([call], [0], 0)
        return await _answer(request, received, sender, translation)


@router.post("/v1/batch", response_model=document.SegmentReceipt, openapi_extra=document.BATCH_BODY)
async def post_batch(request: Request, _: Caller) -> Response:
    """Accepts up to 1,000 Segment calls; those of the ecommerce spec are events.

    200 means that the batch was read, as with Segment; invalid events are listed in `errors`.
    """
    with EventRequest(request) as received:
        body = open_envelope(_read_object(await received.read()), "batch", MAX_EVENTS)
        sender = await identify(request, _write_key_of(body))
        translation = segment.translate_batch(_calls_of(body), body.get("sentAt"))
        return await _answer(request, received, sender, translation)


@router.post("/v1/identify", response_model=document.SegmentReceipt, openapi_extra=document.CALL_BODY)
async def post_identify(request: Request, _: Caller) -> Response:
    """Accepts a Segment `identify` call: who is logged in on the device. Traits are not stored."""
    return await _take_identity(request, "identify")


@router.post("/v1/alias", response_model=document.SegmentReceipt, openapi_extra=document.CALL_BODY)
async def post_alias(request: Request, _: Caller) -> Response:
    """Accepts a Segment `alias` call: the customer `userId` uses the device `previousId`."""
    return await _take_identity(request, "alias")


async def _take_identity(request: Request, call_type: str) -> Response:
    with EventRequest(request) as received:
        content = _read_object(await received.read())
        sender = await identify(request, _write_key_of(content.value))
        call = content.value if content.is_plain else settle(content.value)
        is_whole = type(call) is dict
        translation = segment.translate_identity(call, call_type) if is_whole else Translation([call], [0], 0)
        return await _answer(request, received, sender, translation)


async def ignore_call(request: Request, _: Caller) -> Response:
    """Takes a call of Segment's that says nothing of a product or an order, and keeps nothing of it."""
    with EventRequest(request) as received:
        content = _read_object(await received.read())
        sender = await identify(request, _write_key_of(content.value))
        return await _answer(request, received, sender, _NOTHING)


async def ignore_metrics(request: Request, _: Caller) -> Response:
    """Takes what Segment's libraries tell of themselves, some without a key, and keeps nothing of it."""
    with EventRequest(request) as received:
        await received.read()
    return _json({"success": True})


@router.post("/mp/collect", status_code=HTTPStatus.NO_CONTENT, openapi_extra=document.GA4_BODY)
async def post_ga4_events(request: Request, sender: Sender, _: Annotated[Ga4Query, Query()]) -> Response:
    """Accepts events of GA4's Measurement Protocol; those that are not about products or orders are ignored.

    204 means that the events were read and that Kafka has the valid ones, as the protocol requires. For
    problems with the others, see `/debug/mp/collect`, the live tail of events, and the metrics.
    """
    with EventRequest(request) as received:
        await _ingest_ga4(request, received, sender, dry_run=False)
    return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Cache-Control": "no-store"})


@router.post(
    "/debug/mp/collect",
    response_model=document.Validation,
    response_model_by_alias=True,
    openapi_extra=document.GA4_BODY,
)
async def validate_ga4_events(request: Request, sender: Sender, _: Annotated[Ga4Query, Query()]) -> Response:
    """Validates events of GA4's Measurement Protocol, and stores nothing."""
    with EventRequest(request) as received:
        translation, result = await _ingest_ga4(request, received, sender, dry_run=True)
    messages = [
        ga4.word_refusal(translation.places[refusal.index], refusal.code, refusal.detail)
        for refusal in result.validated.refusals
    ]
    return _json({"validationMessages": messages})


for _name in _IGNORED_CALLS:
    router.add_api_route(
        f"/v1/{_name}",
        ignore_call,
        methods=["POST"],
        name=f"post_{_name}",
        summary=f"Ignore {_name}",
        response_model=document.SegmentReceipt,
        openapi_extra=document.CALL_BODY,
    )


def _add_more_paths() -> None:
    """The same under every path that some library uses: short forms, and all with a slash at the end."""
    more: dict[str, Callable[..., Any]] = {
        "/v1/t": post_track,
        "/v1/b": post_batch,
        "/v1/import": post_batch,
        "/v1/m": ignore_metrics,
        "/v1/i": post_identify,
        "/v1/a": post_alias,
        **{f"/v1/{name[0]}": ignore_call for name in _IGNORED_CALLS},
    }
    documented = {route.path: route.endpoint for route in router.routes if isinstance(route, APIRoute)}
    slashed = {f"{path}/": endpoint for path, endpoint in {**documented, **more}.items()}
    for path, endpoint in {**more, **slashed}.items():
        is_collect = endpoint is post_ga4_events
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            include_in_schema=False,
            status_code=HTTPStatus.NO_CONTENT if is_collect else HTTPStatus.OK,
        )


_add_more_paths()


async def _ingest_ga4(
    request: Request, received: EventRequest, sender: Principal, *, dry_run: bool
) -> tuple[Translation, IngestResult]:
    body = open_envelope(_read_object(await received.read()), "events", MAX_EVENTS)
    translation = ga4.translate_body(body, received_ms=received.received_ms)
    result = await received.ingest(
        sender, Payload(translation.events, source=translation.source), dry_run=dry_run
    )
    _count_ignored(request, "ga4", translation)
    return translation, result


async def _answer(
    request: Request, received: EventRequest, sender: Principal, translation: Translation
) -> Response:
    payload = Payload(translation.events, translation.sent_at, source=translation.source)
    result = await received.ingest(sender, payload)
    _count_ignored(request, "segment", translation)
    errors = [
        {**refusal, "index": translation.places[refusal["index"]]}
        for refusal in refusals_of(result.validated)
    ]
    receipt = receipt_of(request.state.request_id, result)
    return _json({"success": True, "ignored": translation.ignored, **receipt, "errors": errors})


def _count_ignored(request: Request, system: str, translation: Translation) -> None:
    if translation.ignored:
        metrics = services_of(request.app).metrics
        metrics.count_events("ignored", f"{system}.no_counterpart", translation.ignored)


def _read_object(body: bytes) -> JsonContent:
    content = parse_body(body)
    if not isinstance(content.value, dict):
        raise bad_body("body.not_object", f"the body must be a JSON object, got {kind_of(content.value)}")
    return content


def _calls_of(body: dict[str, Any]) -> list[Any]:
    batch = body.get("batch")
    if type(batch) is not list:
        raise bad_body("batch.not_list", f"batch must be an array of calls, got {kind_of(batch)}")
    if len(batch) > MAX_EVENTS:
        detail = f"batch must have at most {MAX_EVENTS} calls, got {len(batch)}"
        raise bad_body("body.too_many_events", detail)
    return batch


def _write_key_of(body: dict[str, Any]) -> str | None:
    """The key in the body; one that is in the calls of a batch instead is Segment's, and no key of ours."""
    key = body.get("writeKey")
    return key if type(key) is str else None


def _json(content: dict[str, Any]) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(content), HTTPStatus.OK, headers, "application/json")
