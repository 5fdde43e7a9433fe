"""From what is known of a visitor to a request for recommendations."""

from dataclasses import replace
from typing import NamedTuple

from contracts.customers import Customer
from contracts.logins import login_of
from contracts.sessions import BOUGHT, MARKS
from contracts.visitor import Visitor
from models.recommendation.request import RecommendationRequest, Step
from readers.customers import find_visitor, read_customer
from readers.reader import Reader
from readers.visitors import read_visitor


class VisitorFacts(NamedTuple):
    """Whom an answer is for; `visitor` is None for one that nobody knows, or whose state has expired."""

    visitor_id: str | None = None
    visitor: Visitor | None = None
    customer: Customer | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the visitor."""
        return self.visitor is not None or self.customer is not None


NOBODY = VisitorFacts()


async def read_facts(reader: Reader, user_id: str | None, *, only_device: bool) -> VisitorFacts:
    """The visitor of an id, and the customer who is logged in there.

    `only_device` leaves customers out: the id must be that of the visitor. Raises `LaterFormat` and
    `redis.RedisError`.
    """
    if user_id is None:
        return NOBODY
    if only_device:
        return VisitorFacts(user_id, await read_visitor(reader, user_id))
    found = await find_visitor(reader, user_id)
    if found is None:
        return VisitorFacts(user_id, None, await read_customer(reader, user_id))
    customer = None if found.customer_id is None else await read_customer(reader, found.customer_id)
    return VisitorFacts(found.visitor_id, found.visitor, customer)


async def read_device_facts(reader: Reader, visitor_id: str) -> VisitorFacts:
    """The visitor of an id that is no customer's, and the customer who is logged in there.

    Raises `LaterFormat` and `redis.RedisError`.
    """
    visitor = await read_visitor(reader, visitor_id)
    customer_id = login_of(visitor).customer_id
    customer = await read_customer(reader, customer_id) if customer_id else None
    return VisitorFacts(visitor_id, visitor, customer)


def to_request(asked: RecommendationRequest, facts: VisitorFacts, now_ms: int) -> RecommendationRequest:
    """What is asked, with what is known of the visitor."""
    visitor, orders = facts.visitor, () if facts.customer is None else facts.customer.orders
    prefix = () if visitor is None else to_steps(visitor)
    bought = {step.product_id for step in prefix if step.mask & BOUGHT}
    bought.update(line.product_id for order in orders for line in order.lines if line.product_id)
    return replace(
        asked,
        now_ms=now_ms,
        visitor_id=facts.visitor_id,
        prefix=prefix,
        cart=() if visitor is None else tuple(visitor.head.cart),
        bought=frozenset(bought),
        orders=orders,
    )


def to_steps(visitor: Visitor) -> tuple[Step, ...]:
    """The visitor's recent actions on products, oldest first."""
    return tuple(
        [
            Step(action.product_id, MARKS[action.rank], action.at_ms)
            for action in visitor.tail.actions()
            if action.product_id
        ]
    )
