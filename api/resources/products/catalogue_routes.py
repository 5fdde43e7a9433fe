"""`/v1/products`: the shop's catalogue."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.convertors import PathConvertor, register_url_convertor

from api.http.dependencies import NoQuery, ReaderDep, check_identifier, forbid_store
from api.http.errors import Problem
from api.identity.guard import require
from api.identity.principal import Principal, Scope
from api.openapi.identifiers import NO_CONTROL, TEXT_ID
from api.openapi.problem_document import describe_problems
from api.resources.products import schemas
from api.resources.products.document import REQUEST_BODY, RESPONSES
from api.resources.products.facts import to_product, to_products
from api.resources.products.ingestion import send_products, take_products
from contracts.clock import wall_clock_ms
from contracts.fields import MAX_ID_CHARS, MAX_TEXT_CHARS, InvalidEvent, identifier, text
from contracts.product_records import ProductUpdate, encode_product
from readers.catalogue import list_products, read_product

router = APIRouter(prefix="/v1/products", tags=["products"], dependencies=[Depends(forbid_store)])
_reader = Depends(require(Scope.INSIGHTS_READ))
Writer = Annotated[Principal, Depends(require(Scope.PRODUCTS_WRITE))]
_UNKNOWN = describe_problems({404: "Nothing is known of this product, or it was removed"})
_UNSENT = describe_problems({503: "Kafka did not acknowledge: send the same request again"})


class _ProductId(PathConvertor):
    """An id with or without slashes, but not the path of a product's demand."""

    regex = "(?:(?!/demand$).)+"


register_url_convertor("product", _ProductId())


class WriteParameters(BaseModel):
    """Parameters of `POST /v1/products`."""

    model_config = ConfigDict(extra="forbid")

    dry_run: Literal["0", "1"] = Field(
        "0", alias="validate", description="1: dry run. Products are validated, but nothing is stored"
    )


class ListParameters(BaseModel):
    """Parameters of `GET /v1/products`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1_000, description="Maximum number of products")
    after: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_ID_CHARS,
        description="Only products whose id comes after this one: `next_after` of the page before",
        json_schema_extra={"pattern": TEXT_ID["pattern"]},
    )
    category: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        description="Only products in this category",
        json_schema_extra={"pattern": f"^{NO_CONTROL}+$"},
    )


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses=RESPONSES,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_products(
    request: Request, principal: Writer, query: Annotated[WriteParameters, Query()], response: Response
) -> schemas.ProductReceipt:
    """Creates or updates up to 1,000 products: one, an array, or one JSON object per line.

    A record changes the fields that it names, null clears a field, and all others stay. Each product is
    validated separately. 202 means that Kafka has written the accepted ones to all in-sync replicas; they can
    be read within about a second.
    """
    dry_run = query.dry_run == "1"
    taken = await take_products(request, principal, dry_run=dry_run)
    if not taken.updates:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "products.rejected",
            "no product is valid; see errors",
            errors=[refusal.model_dump() for refusal in taken.refusals],
        )
    if dry_run:
        response.status_code = HTTPStatus.OK
    return schemas.ProductReceipt(
        request_id=request.scope["state"]["request_id"],
        accepted=len(taken.updates),
        rejected=len(taken.refusals),
        dry_run=dry_run,
        errors=list(taken.refusals),
    )


@router.get("", dependencies=[_reader])
async def get_products(reader: ReaderDep, query: Annotated[ListParameters, Query()]) -> schemas.ProductList:
    """Lists products in the order of their ids, all or those of a category."""
    after, category = _checked(query)
    page = await list_products(reader, limit=query.limit, after=after, category=category)
    return schemas.ProductList(products=to_products(page.products), next_after=page.next_after)


@router.get("/{product_id:product}", responses=_UNKNOWN, dependencies=[_reader])
async def get_product(
    product_id: str, reader: ReaderDep, _: Annotated[NoQuery, Query()]
) -> schemas.ProductFacts:
    """The shop's facts of a product."""
    check_identifier("product_id", product_id)
    known = await read_product(reader, product_id)
    if known is None:
        raise Problem(
            HTTPStatus.NOT_FOUND, "product.unknown", "nothing is known of this product, or it was removed"
        )
    return to_product(product_id, known)


@router.delete("/{product_id:product}", status_code=HTTPStatus.ACCEPTED, responses=_UNSENT)
async def delete_product(
    product_id: str, request: Request, principal: Writer, _: Annotated[NoQuery, Query()]
) -> schemas.ProductRemoval:
    """Removes the shop's facts of a product, within about a second; its demand stays.

    What is older than the removal and arrives later changes nothing.
    """
    check_identifier("product_id", product_id)
    update = ProductUpdate(product_id, wall_clock_ms(), removes=True)
    await send_products(request, principal, [(update, encode_product(update))])
    return schemas.ProductRemoval(product_id=product_id)


def _checked(query: ListParameters) -> tuple[str | None, str | None]:
    """`after` and `category`, as records could have them; raises `Problem`."""
    try:
        after = None if query.after is None else identifier("after", query.after)
        return after, None if query.category is None else text("category", query.category)
    except InvalidEvent as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, exc.code, exc.detail) from exc
