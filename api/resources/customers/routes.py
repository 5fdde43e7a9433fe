"""`/v1/customers/{customer_id}`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.convertors import PathConvertor, register_url_convertor

from api.http.dependencies import NoQuery, ReaderDep, check_identifier, forbid_store
from api.http.errors import Problem
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.resources.customers import schemas
from api.resources.customers.record import to_customer
from api.resources.customers.unlinking import NotRecorded, unlink
from api.resources.live.backlog import StreamBacklog
from api.services import use
from readers.customers import read_customer

router = APIRouter(prefix="/v1/customers", tags=["customers"], dependencies=[Depends(forbid_store)])
_reader = Depends(require(Scope.VISITORS_READ))
_writer = Depends(require(Scope.PRIVACY_WRITE))
_UNKNOWN = describe_problems({404: "No customer with this id has logged in or bought anything"})
_UNSENT = describe_problems({503: "Kafka did not acknowledge: send the same request again"})
Nothing = Annotated[NoQuery, Query()]


class _CustomerId(PathConvertor):
    """An id with or without slashes, but not the path of one of the customer's devices."""

    regex = "(?:(?!/visitors/).)+"


register_url_convertor("customer", _CustomerId())


@router.delete(
    "/{customer_id:path}/visitors/{visitor_id:path}",
    status_code=HTTPStatus.ACCEPTED,
    responses=_UNSENT,
    dependencies=[_writer],
)
async def unlink_visitor(
    customer_id: str, visitor_id: str, reader: ReaderDep, _: Nothing
) -> schemas.Unlinking:
    """Unlinks a device from a customer and logs the customer out of it, within about a second.

    For shared computers and wrong links. What was bought there stays with the customer, without naming the
    device. A later login links it again.
    """
    check_identifier("customer_id", customer_id)
    check_identifier("visitor_id", visitor_id)
    try:
        await unlink(reader, customer_id, visitor_id)
    except NotRecorded as exc:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "kafka.unavailable",
            "Kafka did not acknowledge the unlinking; send the same request again",
            headers={"Retry-After": "1"},
        ) from exc
    return schemas.Unlinking(customer_id=customer_id, visitor_id=visitor_id)


@router.get("/{customer_id:customer}", responses=_UNKNOWN, dependencies=[_reader])
async def get_customer(
    customer_id: str,
    reader: ReaderDep,
    backlog: Annotated[StreamBacklog, use(StreamBacklog)],
    _: Nothing,
) -> schemas.Customer:
    """One customer's totals, newest orders and linked devices; kept for two years after the last change."""
    check_identifier("customer_id", customer_id)
    time = await reader.stream_time()
    customer = await read_customer(reader, customer_id)
    if customer is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "customer.unknown",
            "no customer with this id has logged in or bought anything"
            + await backlog.explain_missing(customer_id),
        )
    return to_customer(customer_id, customer, time)
