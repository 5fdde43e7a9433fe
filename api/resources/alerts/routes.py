"""`/v1/alerts`: the log behind a cursor, as JSON and as a table, and one alert."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.http.dependencies import NoQuery, ReaderDep, forbid_store
from api.http.direct_routes import direct_router
from api.http.queries import describe_query, read_query, to_json_response
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.resources.alerts.export import ALL_COLUMNS, COLUMNS, EXPORT_HEADERS, Export, stream_export
from api.resources.alerts.queries import AlertExportQuery, AlertQuery, to_cursor
from api.services import services_of
from contracts.clock import wall_clock_ms
from readers.alerts.handling import UnknownAlert, read_handled
from readers.alerts.log import find_alert, read_alerts, read_newest
from readers.alerts.rendering import to_alert, to_fragments, to_handling
from readers.alerts.schemas import AlertLife, AlertPage
from readers.intervals import to_datetime

_guard = require(Scope.ALERTS_READ)
router = APIRouter(prefix="/v1", tags=["alerts"], dependencies=[Depends(forbid_store), Depends(_guard)])
direct = direct_router("/v1", "alerts")

AlertId = Annotated[str, Path(max_length=100, description="`alert_id` of any of its steps")]
_UNKNOWN = describe_problems({404: "The alert is unknown or no longer stored"})
_TABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": 'One row per step; `Link` with `rel="next"` continues after the last row',
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "headers": {"Link": {"description": "Where to continue", "schema": {"type": "string"}}},
    }
}


@direct.get(
    "/alerts",
    response_model=AlertPage,
    openapi_extra={"parameters": describe_query(AlertQuery), **_guard.describe()},
)
async def get_alerts(request: Request) -> Response:
    """Returns alert steps, oldest first; follow them with the cursor.

    Each request looks at a limited number of steps, so an answer may be empty although `more` is true. A step
    may be repeated after a crash; recognise it by its `record_id`.
    """
    await _guard(request)
    query = read_query(request, AlertQuery)
    query.check()
    wanted = query.to_filter(query.parse_since())
    reader = services_of(request.app).reader
    reading = (
        read_newest(reader, wanted, query.limit, query.handling)
        if query.newest
        else read_alerts(reader, wanted, to_cursor(query.after), query.limit, query.handling)
    )
    page = await reading
    time = await reader.stream_time()
    handled, now_ms = await read_handled(reader, page.alerts), wall_clock_ms()
    answer = {  # as `AlertPage` says; its steps are JSON already
        "as_of": to_datetime(time.as_of_ms),
        "mode": time.mode,
        "alerts": to_fragments(page.alerts, handled, now_ms),
        "next": str(page.cursor),
        "more": page.more,
        "reset": page.reset,
    }
    return to_json_response(answer)


@router.get("/alerts.csv", response_class=StreamingResponse, responses=_TABLE)
async def export_alerts(
    request: Request, reader: ReaderDep, query: Annotated[AlertExportQuery, Query()]
) -> StreamingResponse:
    """The alert steps as CSV (RFC 4180), up to the newest at the time of the request.

    Without `limit`, the answer contains everything after `after`, row by row. The `Link` header has the URL
    of the next page. The last column of each row is a cursor from which an interrupted transfer can continue.
    """
    wanted = query.to_filter(query.parse_since())
    columns = ALL_COLUMNS if query.columns == "all" else COLUMNS
    export = await Export.open(reader, wanted, to_cursor(query.after), query.handling, query.limit, columns)
    rows = await stream_export(export)
    following = request.url.include_query_params(after=str(export.following)).replace(scheme="", netloc="")
    return StreamingResponse(
        rows, headers={**EXPORT_HEADERS, "Link": f'<{following}>; rel="next"'}, media_type="text/csv"
    )


@router.get("/alerts/{alert_id}", response_model=AlertLife, responses=_UNKNOWN)
async def get_alert(reader: ReaderDep, alert_id: AlertId, _: Annotated[NoQuery, Query()]) -> Response:
    """The steps of one alert and its handling, as far as they are still stored."""
    steps = await find_alert(reader, alert_id)
    if not steps:
        raise UnknownAlert
    (said,) = await read_handled(reader, steps[:1])
    handling = to_handling(said, wall_clock_ms())
    answer = {  # as `AlertLife` says
        "alert_id": alert_id,
        "state": steps[-1].state,
        "steps": [to_alert(step, handling).model_dump(mode="json") for step in steps],
        "handling": handling.model_dump(mode="json"),
    }
    return to_json_response(answer)
