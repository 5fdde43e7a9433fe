"""`/v1/users/{user_id}`."""

import asyncio
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api import schemas
from api.errors import Problem
from api.live import read_stream_time
from api.routes.access import NoQuery, ReaderDep, check_identifier, forbid_store
from api.visitors import to_visitor_state
from contracts.visitor import unpack_visitor

router = APIRouter(prefix="/v1/users", tags=["visitors"], dependencies=[Depends(forbid_store)])


@router.get("/{user_id:path}")
async def get_user(user_id: str, reader: ReaderDep, _: Annotated[NoQuery, Query()]) -> schemas.VisitorState:
    """One visitor's session, cart, totals and recent actions."""
    check_identifier("user_id", user_id)
    blob, time = await asyncio.gather(reader.visitor_blob(user_id), read_stream_time(reader))
    if blob is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "user.unknown",
            "no event of this visitor, or none for longer than state is kept",
        )
    return to_visitor_state(user_id, unpack_visitor(blob), time)
