"""Answers about single products."""

from datetime import datetime

from pydantic import Field

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
