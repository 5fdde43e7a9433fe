"""`/v1/privacy/deletions`."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from api.http.dependencies import NoQuery, ReaderDep, check_identifier, forbid_store
from api.http.errors import Problem
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.problem_document import describe_problems
from api.resources.privacy.jobs import ReusedKey
from api.resources.privacy.linked import open_deletions
from api.resources.privacy.recorder import Unrecorded
from api.resources.privacy.remover import Remover
from api.resources.privacy.schemas import Deletion, DeletionRequest, to_deletion
from api.services import use

_writer = require(Scope.PRIVACY_WRITE)
router = APIRouter(
    prefix="/v1/privacy/deletions", tags=["privacy"], dependencies=[Depends(forbid_store), Depends(_writer)]
)
RemoverDep = Annotated[Remover, use(Remover)]
_DELETE = describe_problems(
    {
        400: "The body is not JSON",
        503: "Kafka did not acknowledge the record, or Redis is not available; send the same request again",
    }
)
_UNKNOWN = describe_problems({404: "No deletion has this id, or it was completed more than 30 days ago"})
_LOCATION: dict[int | str, dict[str, Any]] = {
    202: {
        "headers": {"Location": {"description": "Where to query its progress", "schema": {"type": "string"}}}
    }
}


@router.post("", status_code=HTTPStatus.ACCEPTED, responses={**_DELETE, **_LOCATION})
async def delete_visitor(
    remover: RemoverDep,
    response: Response,
    reader: ReaderDep,
    principal: Annotated[Principal, Depends(_writer)],
    body: DeletionRequest,
    _: Annotated[NoQuery, Query()],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key and visitor within a day return the same deletion",
        ),
    ] = None,
) -> Deletion:
    """Deletes everything stored about a visitor, and ignores their events up to now for good.

    202 means that the deletion is recorded where a replay of the log finds it; query its progress at
    `Location`. While a deletion of the visitor is in progress, the same one is returned. Counts that include
    the visitor are kept, because they identify nobody. All linked ids are deleted too: the customer who is
    logged in, and all devices of that customer. If the visitor acts again afterwards, they are a new, unknown
    visitor.
    """
    user_id = check_identifier("user_id", body.user_id)
    jobs = remover.jobs
    try:
        request_key = f"{principal.key_id}:{idempotency_key}" if idempotency_key else ""
        job = await open_deletions(reader, jobs, user_id, request_key)
    except ReusedKey as exc:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "idempotency_key.reused",
            "this Idempotency-Key was already used with another user_id",
        ) from exc
    except Unrecorded as exc:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "kafka.unavailable",
            "Kafka did not acknowledge the deletion; send the same request again",
            headers={"Retry-After": "1"},
        ) from exc
    response.headers["Location"] = f"{router.prefix}/{job.deletion_id}"
    return to_deletion(job)


@router.get("/{deletion_id}", responses=_UNKNOWN)
async def get_deletion(
    remover: RemoverDep,
    deletion_id: Annotated[str, Path(max_length=100)],
    _: Annotated[NoQuery, Query()],
) -> Deletion:
    """Returns the progress of a deletion, until 30 days after it was completed."""
    job = await remover.jobs.get(deletion_id)
    if job is None:
        raise Problem(HTTPStatus.NOT_FOUND, "deletion.unknown", "no deletion with this id is stored")
    return to_deletion(job)
