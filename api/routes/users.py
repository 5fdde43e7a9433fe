"""`/v1/users/{user_id}` and what is below it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope as AsgiScope

from api import schemas
from api.errors import Problem
from api.identity.guard import require
from api.identity.principal import Scope
from api.live import read_stream_time
from api.next_action import to_user_next_action
from api.prediction_schemas import UserNextAction
from api.reader import Reader
from api.routes.dependencies import NoQuery, PriceLevelDep, ReaderDep, check_identifier, forbid_store
from api.stream_time import StreamTime, not_before
from api.visitors import to_visitor_state
from contracts.visitor import Visitor, unpack_visitor


class _LiteralEnd(APIRoute):
    """Matches if the path ends with the route's last segment as it was sent, not only once decoded.

    Ids may hold slashes, which are sent percent-encoded: `/v1/users/a%2Fnext-action` is the visitor
    `a/next-action`, `/v1/users/a/next-action` the next action of the visitor `a`.
    """

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        end = self.path[self.path.rindex("/") :].encode()
        if not scope.get("raw_path", end).endswith(end):  # servers need not give it
            return Match.NONE, {}
        return super().matches(scope)


_DEPENDENCIES = [Depends(forbid_store), Depends(require(Scope.VISITORS_READ))]
router = APIRouter(prefix="/v1/users", tags=["visitors"], dependencies=_DEPENDENCIES)
_below = APIRouter(route_class=_LiteralEnd)


@_below.get("/{user_id:path}/next-action")
async def get_user_next_action(
    user_id: str, reader: ReaderDep, levels: PriceLevelDep, _: Annotated[NoQuery, Query()]
) -> UserNextAction:
    """What a model expects of one visitor: as of the last action, and after the silence since.

    404 `user.unknown` or, for a visitor no model has scored, `score.none`.
    """
    visitor, time = await _read_visitor(reader, user_id)
    score = visitor.outlook.score
    if score is None:
        raise Problem(HTTPStatus.NOT_FOUND, "score.none", "no model has scored this visitor")
    level = await levels.get()
    return to_user_next_action(user_id, visitor, score, level, time, idle_ms=reader.settings.idle_ms)


router.include_router(_below)  # before the next route, which matches every path


@router.get("/{user_id:path}")
async def get_user(user_id: str, reader: ReaderDep, _: Annotated[NoQuery, Query()]) -> schemas.VisitorState:
    """One visitor's session, cart, totals and recent actions."""
    visitor, time = await _read_visitor(reader, user_id)
    return to_visitor_state(user_id, visitor, time)


async def _read_visitor(reader: Reader, user_id: str) -> tuple[Visitor, StreamTime]:
    check_identifier("user_id", user_id)
    time = await read_stream_time(reader)
    blob = await reader.visitor_blob(user_id)
    if blob is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "user.unknown",
            "no event of this visitor, or none for longer than state is kept",
        )
    visitor = unpack_visitor(blob)
    return visitor, not_before(time, visitor.totals.last_ms)
