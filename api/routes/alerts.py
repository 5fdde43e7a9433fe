"""`/v1/alerts`."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.alert_log import START, AlertFilter, Cursor, parse_cursor, read_alerts
from api.alert_schemas import Alerts, to_alert
from api.errors import InvalidQuery
from api.identity.guard import require
from api.identity.principal import Scope
from api.intervals import to_datetime
from api.live import read_stream_time
from api.query_times import parse_time
from api.routes.dependencies import ReaderDep, forbid_store
from contracts.alerts import AlertKind, AlertState, Severity

router = APIRouter(
    prefix="/v1/alerts",
    tags=["alerts"],
    dependencies=[Depends(forbid_store), Depends(require(Scope.ALERTS_READ))],
)


class AlertQuery(BaseModel):
    """Parameters of `/v1/alerts`."""

    model_config = ConfigDict(extra="forbid")

    kind: AlertKind | None = None
    severity: Severity | None = None
    state: AlertState | None = None
    since: str | None = Field(
        None, max_length=40, description="Steps of this event time or later; RFC 3339 or epoch ms"
    )
    after: str | None = Field(
        None, max_length=41, description="`next` of the answer before; absent: from the oldest kept"
    )
    limit: int = Field(100, ge=1, le=500, description="Most steps to return")


@router.get("")
async def get_alerts(reader: ReaderDep, query: Annotated[AlertQuery, Query()]) -> Alerts:
    """Steps of alerts, oldest first, to be followed with the cursor.

    Each request looks at a bounded number of steps, so an answer may be empty though `more` is true. A step
    may come twice after a crash of ours: `record_id` tells.
    """
    since_ms = None if query.since is None else parse_time("since", query.since)
    wanted = AlertFilter(query.kind, query.severity, query.state, since_ms)
    page, time = await asyncio.gather(
        read_alerts(reader, wanted, _cursor(query.after), query.limit), read_stream_time(reader)
    )
    return Alerts(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        alerts=[to_alert(alert) for alert in page.alerts],
        next=str(page.cursor),
        more=page.more,
        reset=page.reset,
    )


def _cursor(text: str | None) -> Cursor:
    if text is None:
        return START
    try:
        return parse_cursor(text)
    except ValueError:
        raise InvalidQuery("after", "not_cursor", "must be `next` of an earlier answer") from None
