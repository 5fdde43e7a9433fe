"""What people say of an alert: taken on, put off until later, useful or wrong."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from api.http.dependencies import NoQuery, ReaderDep, forbid_store
from api.http.errors import InvalidQuery
from api.http.query_times import parse_time
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.problem_document import describe_problems
from api.resources.alerts.routes import AlertId
from contracts.alerts import Alert, Verdict
from contracts.clock import wall_clock_ms
from readers.alerts import handling
from readers.alerts.handling import Handled, UnknownAlert
from readers.alerts.log import find_alert
from readers.alerts.rendering import to_handling
from readers.alerts.schemas import AlertHandling
from readers.reader import Reader

MIN_SNOOZE_S = 60
MAX_SNOOZE_S = timedelta(days=7) // timedelta(seconds=1)
MAX_NOTE = 500

_writer = require(Scope.ALERTS_WRITE)
WriterDep = Annotated[Principal, Depends(_writer)]
NoQueryDep = Annotated[NoQuery, Query()]

router = APIRouter(
    prefix="/v1/alerts/{alert_id}", tags=["alerts"], dependencies=[Depends(forbid_store), Depends(_writer)]
)
_UNKNOWN = describe_problems({404: "The alert is unknown or no longer stored"})
_OPEN_ONLY = describe_problems(
    {400: "The body is not JSON", 404: "The alert is unknown or no longer stored", 409: "The alert has ended"}
)
_JUDGED = describe_problems({400: "The body is not JSON", 404: "The alert is unknown or no longer stored"})


def _hide_default(schema: dict[str, Any]) -> None:
    """The defaults of what may be left out are not values that may be sent."""
    del schema["default"]


class Snooze(BaseModel):
    """How long to mute this kind of alert for this visitor; exactly one of the two."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": ["for_s"]}, {"required": ["until"]}],
            "examples": [{"for_s": 3_600}, {"until": "2025-10-09T18:00:00Z"}],
        },
    )

    for_s: int = Field(
        0,
        ge=MIN_SNOOZE_S,
        le=MAX_SNOOZE_S,
        strict=True,
        description="Seconds from now",
        json_schema_extra=_hide_default,
    )
    until: str = Field(
        "",
        max_length=40,
        description="RFC 3339, from a minute to 7 days from now",
        json_schema_extra=_hide_default,
    )


class Judgement(BaseModel):
    """Whether the alert was useful."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verdict": "wrong", "note": "had bought in the shop"}]},
    )

    verdict: Verdict
    note: str | None = Field(None, max_length=MAX_NOTE, description="A note for people; the last one is kept")


@router.post("/acknowledge", responses=_OPEN_ONLY)
async def acknowledge_alert(
    reader: ReaderDep, alert_id: AlertId, principal: WriterDep, _: NoQueryDep
) -> AlertHandling:
    """Marks the alert as taken care of. The first acknowledgement stays; repeating it changes nothing."""
    alert = await _find(reader, alert_id)
    return _answer(alert, await handling.acknowledge(reader, alert, principal.key_id))


@router.delete("/acknowledge", responses=_UNKNOWN)
async def withdraw_acknowledgement(reader: ReaderDep, alert_id: AlertId, _: NoQueryDep) -> AlertHandling:
    """Withdraws the acknowledgement."""
    alert = await _find(reader, alert_id)
    return _answer(alert, await handling.take_back(reader, alert, "acknowledged"))


@router.post("/snooze", responses=_OPEN_ONLY)
async def snooze_alert(
    reader: ReaderDep, alert_id: AlertId, principal: WriterDep, body: Snooze, _: NoQueryDep
) -> AlertHandling:
    """Mutes this kind of alert for this visitor in streams and webhooks. `GET /v1/alerts` still returns them.

    If repeated, the newer end applies.
    """
    until_ms = _parse_end(body)
    alert = await _find(reader, alert_id)
    return _answer(alert, await handling.snooze(reader, alert, principal.key_id, until_ms))


@router.delete("/snooze", responses=_UNKNOWN)
async def end_snooze(reader: ReaderDep, alert_id: AlertId, _: NoQueryDep) -> AlertHandling:
    """Ends the snooze: subscribers get alerts of this kind about this visitor again."""
    alert = await _find(reader, alert_id)
    return _answer(alert, await handling.take_back(reader, alert, "snoozed"))


@router.post("/feedback", responses=_JUDGED)
async def judge_alert(
    reader: ReaderDep, alert_id: AlertId, principal: WriterDep, body: Judgement, _: NoQueryDep
) -> AlertHandling:
    """Records whether the alert was useful or wrong, also after it has ended.

    The last verdict counts, once, in `/v1/models`."""
    alert = await _find(reader, alert_id)
    time = await reader.stream_time()
    said = await handling.judge(reader, alert, principal.key_id, body.verdict, body.note, time.as_of_ms)
    return _answer(alert, said)


@router.delete("/feedback", responses=_UNKNOWN)
async def withdraw_feedback(reader: ReaderDep, alert_id: AlertId, _: NoQueryDep) -> AlertHandling:
    """Withdraws the verdict."""
    alert = await _find(reader, alert_id)
    return _answer(alert, await handling.take_back(reader, alert, "feedback"))


async def _find(reader: Reader, alert_id: str) -> Alert:
    steps = await find_alert(reader, alert_id)
    if not steps:
        raise UnknownAlert
    return steps[0]


def _parse_end(body: Snooze) -> int:
    """Epoch ms; raises `InvalidQuery`."""
    now_ms = wall_clock_ms()
    if len(body.model_fields_set) != 1:
        raise InvalidQuery("snooze", "not_one_end", "must have exactly one of for_s and until")
    if "for_s" in body.model_fields_set:
        return now_ms + body.for_s * 1_000
    until_ms = parse_time("until", body.until)
    if until_ms < now_ms + MIN_SNOOZE_S * 1_000:
        raise InvalidQuery("until", "too_early", "must be a minute from now or later")
    if until_ms > now_ms + MAX_SNOOZE_S * 1_000:
        raise InvalidQuery("until", "too_late", "must be at most 7 days from now")
    return until_ms


def _answer(alert: Alert, said: Handled) -> AlertHandling:
    return AlertHandling(alert_id=alert.alert_id, handling=to_handling(said, wall_clock_ms()))
