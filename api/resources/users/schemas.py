"""Answers about single visitors."""

from datetime import datetime

from pydantic import Field

from contracts.events import EventType
from readers.answers import Answer, Money, TimedAnswer


class CartLine(Answer):
    """One product in a cart; a null price is unknown."""

    product_id: str
    quantity: int
    unit_price: Money | None
    value: Money | None
    added_at: datetime


class Cart(Answer):
    """The cart; `value` has one amount per currency and leaves out lines without a price."""

    lines: list[CartLine]
    units: int
    value: list[Money]


class ActionCounts(Answer):
    """Events by type."""

    view: int
    favorite: int
    cart: int
    remove_from_cart: int
    purchase: int


class Session(Answer):
    """The visitor's newest session."""

    session_id: str | None
    number: int = Field(description="1 is the first session of this visitor")
    started_at: datetime
    last_event_at: datetime
    ended: bool
    counts: ActionCounts
    units_bought: int
    revenue: list[Money]


class VisitorTotals(Answer):
    """Everything this visitor did while the state existed."""

    first_event_at: datetime
    last_event_at: datetime
    counts: ActionCounts
    units_bought: int
    revenue: list[Money] = Field(description="Gross, from purchases")
    refunded: list[Money] = Field(
        description="From refunds; at the price that was paid if the refund has none"
    )
    net_revenue: list[Money] = Field(description="Revenue minus refunds")


class Action(Answer):
    """One recent event."""

    at: datetime
    event_type: EventType
    product_id: str | None = Field(description="null: an order without lines")
    quantity: int
    unit_price: Money | None
    category: str | None
    brand: str | None
    session_id: str | None


class NewestVisitor(Answer):
    """A visitor who acted lately."""

    user_id: str
    last_event_at: datetime


class NewestVisitors(TimedAnswer):
    """Visitors who acted last, the newest first, without those silent for longer than a session's gap."""

    visitors: list[NewestVisitor]


class VisitorState(TimedAnswer):
    """One visitor: session, cart, totals and recent actions, newest first."""

    user_id: str
    visitor_id: str = Field(
        description="The visitor whose state this is; for a customer, the device used last"
    )
    customer_id: str | None = Field(description="The customer who is logged in on the device")
    session: Session
    cart: Cart
    totals: VisitorTotals
    recent: list[Action]
