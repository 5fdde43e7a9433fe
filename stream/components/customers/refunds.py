"""What went back to a customer: of each order, whether its refunds or its lines came first."""

from collections import Counter
from collections.abc import Mapping

from contracts.customers import MAX_REFUNDS, MAX_SEEN, Bought, Customer, CustomerOrder, CustomerRefund
from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import digest_of
from stream.refunds import given_back


def add_refund(customer: Customer | None, at_ms: int, refund: Bought) -> Customer:
    """The record with one more refund; one that is there already changes nothing.

    A refund of no order, or of one that is only known by its digest, gives back what it says.
    """
    customer = customer or Customer(at_ms, at_ms)
    digest = digest_of(refund.event)
    if digest in customer.seen or any(one.event == refund.event for one in customer.refunds):
        return customer
    if knows_refunds_alone(customer):
        first_ms, last_ms = min(customer.first_ms, at_ms), max(customer.last_ms, at_ms)
        customer = customer._replace(first_ms=first_ms, last_ms=last_ms)
    event, order_id, product_id, quantity, price_minor, currency = refund
    if order_id is None or digest_of(order_id) in customer.seen:
        after = customer._replace(seen=(*customer.seen, digest)[-MAX_SEEN:])
        if price_minor is None or currency is None:
            return after
        return _add_money(after, {currency: price_minor * quantity})
    kept = CustomerRefund(order_id, at_ms, event, product_id, quantity, price_minor, currency)
    refunds = sorted((kept, *customer.refunds), key=lambda one: (one.at_ms, one.event), reverse=True)
    after = settle(customer, customer._replace(refunds=tuple(refunds)), order_id)
    return _drop_oldest(after) if len(refunds) > MAX_REFUNDS else after


def settle(before: Customer, after: Customer, order_id: str) -> Customer:
    """`after` with the total moved by what the order's lines and refunds come to now."""
    change = Counter(went_back(after, order_id))
    change.subtract(went_back(before, order_id))
    return _add_money(after, change)


def went_back(customer: Customer, order_id: str) -> dict[str, int]:
    """What all refunds of an order gave back by currency, in minor units."""
    order = _order_of(customer, order_id)
    refunds = [refund for refund in customer.refunds if refund.order_id == order_id]
    return _sum_of(order, refunds)


def see_customer(customer: Customer, at_ms: int) -> Customer:
    """The record of a customer who logs in or buys at this time."""
    if knows_refunds_alone(customer):  # somebody in an office gave money back: nobody has seen the customer
        return customer._replace(first_ms=at_ms, last_ms=at_ms)
    return customer._replace(first_ms=min(customer.first_ms, at_ms), last_ms=max(customer.last_ms, at_ms))


def knows_refunds_alone(customer: Customer) -> bool:
    """Whether nothing but refunds is known of a customer."""
    return not (customer.n_orders or customer.devices or customer.unlinked)


def _drop_oldest(customer: Customer) -> Customer:
    """The record without its oldest refund; what that gave back stays."""
    *refunds, oldest = customer.refunds
    after = customer._replace(
        refunds=tuple(refunds), seen=(*customer.seen, digest_of(oldest.event))[-MAX_SEEN:]
    )
    order = _order_of(customer, oldest.order_id)
    if order is None:
        return after
    amounts = _sum_of(order, [oldest])  # the oldest takes first
    orders = [one._replace(refunded_minor=amounts) if one is order else one for one in customer.orders]
    return settle(customer, after._replace(orders=tuple(orders)), oldest.order_id)


def _order_of(customer: Customer, order_id: str) -> CustomerOrder | None:
    return next((order for order in customer.orders if order.order_id == order_id), None)


def _sum_of(order: CustomerOrder | None, refunds: list[CustomerRefund]) -> dict[str, int]:
    before: Mapping[str, int] = {} if order is None else order.refunded_minor
    lines = [] if order is None else sorted(order.lines, key=lambda line: line.event)
    sums = dict(before)
    for _, _, _, currency, amount in given_back(lines, refunds, before):
        if currency is not None:
            sums[currency] = min(sums.get(currency, 0) + amount, MAX_SUM_MINOR)
    return {code: amount for code, amount in sums.items() if amount}


def _add_money(customer: Customer, change: Mapping[str, int]) -> Customer:
    sums = dict(customer.refunded_minor)
    for currency, amount in change.items():
        sums[currency] = max(0, min(sums.get(currency, 0) + amount, MAX_SUM_MINOR))
    return customer._replace(refunded_minor={code: amount for code, amount in sums.items() if amount})
