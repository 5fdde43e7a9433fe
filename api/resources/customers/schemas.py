"""Answers about single customers."""

from datetime import datetime

from pydantic import Field

from readers.answers import Answer, Money, TimedAnswer


class LinkedVisitor(Answer):
    """A device on which the customer logged in."""

    visitor_id: str
    first_login_at: datetime
    last_login_at: datetime
    logged_out_at: datetime | None = Field(description="null while the customer is logged in")


class OrderLine(Answer):
    """One line of an order; a null price was not given."""

    product_id: str | None = Field(description="null: the order as a whole")
    quantity: int
    unit_price: Money | None


class CustomerOrder(Answer):
    """One order; `value` has one amount per currency and leaves out lines without a price."""

    order_id: str | None
    visitor_id: str | None = Field(description="Where it was bought; null if that device was unlinked")
    at: datetime
    lines: list[OrderLine]
    value: list[Money]


class CustomerTotals(Answer):
    """Everything the customer bought while the record existed, including orders that are no longer stored."""

    orders: int
    units: int
    revenue: list[Money] = Field(description="Gross, from purchases")
    refunded: list[Money] = Field(
        description="Of an order that is known at most what was paid, of others what refunds say"
    )
    net_revenue: list[Money] = Field(description="Revenue minus refunds")


class Customer(TimedAnswer):
    """One customer: totals, the newest orders and the linked devices, newest first.

    An order of which only a refund is known is not among `orders`.
    """

    customer_id: str
    first_seen_at: datetime = Field(
        description="Of logins and purchases; of refunds if nothing else is known"
    )
    last_seen_at: datetime
    totals: CustomerTotals
    orders: list[CustomerOrder]
    visitors: list[LinkedVisitor]


class Unlinking(Answer):
    """What is being unlinked."""

    customer_id: str
    visitor_id: str
