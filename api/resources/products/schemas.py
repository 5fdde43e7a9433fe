"""Answers about single products."""

from datetime import datetime

from pydantic import Field

from api.openapi.problem_document import ElementRefusal, ElementsProblem
from contracts.buckets import Grain
from readers.answers import Answer, Money, TimedAnswer


class DemandBucket(Answer):
    """What happened to one product in one bucket."""

    start: datetime
    views: int
    favorites: int
    carts: int
    removes: int
    purchases: int
    units: int
    revenue: list[Money] = Field(description="Gross, from purchases")
    units_returned: int
    refunded: list[Money] = Field(description="Of refunds in this bucket that name the product")
    net_revenue: list[Money] = Field(description="Revenue minus refunds")


class Demand(TimedAnswer):
    """Demand of one product; buckets without events are included as zeros."""

    product_id: str
    grain: Grain
    from_: datetime = Field(serialization_alias="from")
    to: datetime
    retention_s: int = Field(description="Retention of these buckets; older ones are returned as zeros")
    buckets: list[DemandBucket]


class ProductPromotion(Answer):
    """A lower price for a time."""

    price: Money
    from_: datetime | None = Field(serialization_alias="from", description="null: from any time on")
    to: datetime | None = Field(description="The first moment after it; null: without an end")


class ProductFacts(Answer):
    """The shop's facts of a product; null: not known."""

    product_id: str
    title: str | None
    price: Money | None
    promotion: ProductPromotion | None
    image_url: str | None
    page_url: str | None
    brand: str | None
    categories: list[str] | None = Field(description="Empty: the product is in none")
    regions: list[str] | None = Field(description="Where it is sold; empty: nowhere")
    stock: int | None = Field(description="Units; null: not known, 0: sold out")
    active: bool | None = Field(description="Whether it is on sale")
    published_at: datetime | None = Field(description="Since when it is on sale, or from when on")
    updated_at: datetime = Field(description="The newest `updated_at` that the shop sent, or time of receipt")
    changed_at: datetime = Field(description="When any of the above last changed here")


class ProductList(Answer):
    """A page of products, in the order of their ids."""

    products: list[ProductFacts]
    next_after: str | None = Field(description="`after` of the next page; null: this is the last one")


class ProductRefusal(ElementRefusal):
    """One product that breaks a rule."""

    product_id: str | None = Field(description="null: there is none, or an invalid one")


class ProductReceipt(Answer):
    """What became of the products of one request."""

    request_id: str = Field(description="Also in the header `X-Request-Id`, the log, and the Kafka records")
    accepted: int = Field(ge=0, description="Products that Kafka has written to all in-sync replicas")
    rejected: int = Field(ge=0, description="Products that break a rule; each has an entry in `errors`")
    dry_run: bool = Field(description="true: nothing was stored, because `validate=1` was set")
    errors: list[ProductRefusal] = Field(description="One per rejected product, in the order of the request")


class ProductsProblem(ElementsProblem):
    """A problem document; `errors` is present if the products were the reason."""

    errors: list[ProductRefusal] = Field(default_factory=list)


class ProductRemoval(Answer):
    """A product that is removed as soon as a worker reads of it."""

    product_id: str
