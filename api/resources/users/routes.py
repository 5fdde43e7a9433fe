"""`/v1/users/{user_id}` and what is below it."""

from http import HTTPStatus

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.routing import Match
from starlette.types import Scope as AsgiScope

from api.http.dependencies import NoQuery, check_identifier
from api.http.direct_routes import DirectRoute, direct_router
from api.http.errors import Problem
from api.http.queries import describe_path, describe_query, read_query, to_json_response
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.resources.live.backlog import StreamBacklog
from api.resources.predictions.next_action import to_user_next_action
from api.resources.predictions.next_action_model import NextActionModel
from api.resources.predictions.price_levels import PriceLevels
from api.resources.predictions.schemas import UserNextAction
from api.resources.users import schemas
from api.resources.users.state import to_visitor_state
from api.services import Services, services_of
from contracts.fields import MAX_ID_CHARS
from readers.customers import Found, find_visitor
from readers.intervals import to_datetime
from readers.stream_time import StreamTime, not_before
from readers.visitors import passing_over_spoiled


class NewestQuery(BaseModel):
    """Parameters of `GET /v1/users`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100, description="Maximum number of visitors")


class _LiteralEnd(DirectRoute):
    """Matches if the path ends with the route's last segment as it was sent, not only once decoded.

    Ids may hold slashes, which are sent percent-encoded: `/v1/users/a%2Fnext-action` is the visitor
    `a/next-action`, `/v1/users/a/next-action` the next action of the visitor `a`.
    """

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        end = self.path[self.path.rindex("/") :].encode()
        if not scope.get("raw_path", end).endswith(end):  # servers need not give it
            return Match.NONE, {}
        return super().matches(scope)


_guard = require(Scope.VISITORS_READ)
_DOCUMENT = {
    "parameters": [describe_path("user_id", minLength=1, maxLength=MAX_ID_CHARS)],
    **_guard.describe(),
}
router = direct_router("/v1/users", "visitors")
_UNKNOWN = describe_problems({404: "No visitor with this id is known, or the state has expired"})


@router.get(
    "",
    response_model=schemas.NewestVisitors,
    openapi_extra={"parameters": describe_query(NewestQuery), **_guard.describe()},
)
async def get_users(request: Request) -> Response:
    """The visitors who acted last, the newest first."""
    await _guard(request)
    query = read_query(request, NewestQuery)
    reader = services_of(request.app).reader
    time = await reader.stream_time()
    newest = await reader.newest_visitors(query.limit)
    visitors = [{"user_id": id_, "last_event_at": to_datetime(at_ms)} for id_, at_ms in newest]
    fields = {"as_of": to_datetime(time.as_of_ms), "mode": time.mode, "visitors": visitors}
    return to_json_response(fields)


_below = direct_router("/v1/users", "visitors", _LiteralEnd)


@_below.get(
    "/{user_id:path}/next-action", response_model=UserNextAction, responses=_UNKNOWN, openapi_extra=_DOCUMENT
)
async def get_user_next_action(request: Request) -> Response:
    """What the model expects one visitor to do: as of the last action, and after the silence since then.

    404 `user.unknown` or, for a visitor that no model has scored, `score.none`.
    """
    user_id, (visitor_id, _, visitor), time = await _read_visitor(request)
    services, score = services_of(request.app), visitor.predictions.score
    if score is None:
        raise await _not_scored(services, visitor_id)
    level, idle_ms = await services.get(PriceLevels).get(), services.settings.idle_ms
    with passing_over_spoiled(visitor):
        return to_json_response(to_user_next_action(user_id, visitor, score, level, time, idle_ms=idle_ms))


router.routes.extend(_below.routes)  # before the next route, which matches every path


@router.get(
    "/{user_id:path}", response_model=schemas.VisitorState, responses=_UNKNOWN, openapi_extra=_DOCUMENT
)
async def get_user(request: Request) -> Response:
    """One visitor's session, cart, totals and recent actions; for a customer, those of the device used last.

    `user_id` is the id that was asked for, `visitor_id` the visitor whose state it is, `customer_id` the
    customer who is logged in there.
    """
    user_id, found, time = await _read_visitor(request)
    with passing_over_spoiled(found.visitor):
        return to_json_response(to_visitor_state(user_id, found, time))


async def _not_scored(services: Services, visitor_id: str) -> Problem:
    why = await services.get(StreamBacklog).explain_missing(visitor_id)
    if not why and services.get(NextActionModel).trouble:
        why = "; no model could be loaded, see /v1/models"
    return Problem(HTTPStatus.NOT_FOUND, "score.none", f"no model has scored this visitor{why}")


async def _read_visitor(request: Request) -> tuple[str, Found, StreamTime]:
    """The visitor in the path, for whoever may ask."""
    await _guard(request)
    read_query(request, NoQuery)
    user_id = check_identifier("user_id", request.path_params["user_id"])
    services = services_of(request.app)
    reader = services.reader
    time = await reader.stream_time()
    found = await find_visitor(reader, user_id)
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "user.unknown",
            "no visitor with this id is known, or the state has expired"
            + await services.get(StreamBacklog).explain_missing(user_id),
        )
    with passing_over_spoiled(found.visitor):
        return user_id, found, not_before(time, found.visitor.totals.last_ms)
