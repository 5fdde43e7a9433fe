"""What went back to a visitor: of each order the same, whether its refunds or its lines came first."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeVar

from contracts.carts import PURCHASE
from contracts.events import Event
from contracts.numbers import MAX_SUM_MINOR
from contracts.order_lines import event_key, line_key
from contracts.visitor import NO_EXTRA, REFUNDED, Action, Visitor, digest_of
from contracts.visitor_refunds import REFUNDS, VisitorRefund, refunds_of
from stream.refunds import given_back
from stream.visitors.orders import given_back_fact, paid_fact

MAX_REFUNDS = 20
"""Refunds of orders that a visitor's state keeps, the newest; what older ones gave back stays."""

_Name = TypeVar("_Name", str, bytes)


class _Paid(NamedTuple):
    """Units of a product, or money of the order that is of no product asked for."""

    product_id: str
    quantity: int
    price_minor: int
    currency: str


def refund_visitor(
    visitor: Visitor, refunds: Sequence[Event], bought: Collection[str | None] = ()
) -> Visitor:
    """The visitor with these refunds; what all of an order give back is new where lines were `bought`."""
    orders = dict(visitor.orders)
    refunded = dict(visitor.extra.get(REFUNDED, {}))
    kept = refunds_of(visitor)
    for event in refunds:
        if event.order_id is not None:
            kept.append(_refund_of(event, event.order_id))
        else:
            for currency, amount in _amounts_of_none(visitor, event).items():
                _change(refunded, currency, amount)
    kept.sort(key=lambda refund: (refund.at_ms, refund.event))
    changed = {event.order_id for event in refunds}.union(bought)
    by_order: dict[str, list[VisitorRefund]] = {}
    for refund in kept:
        if refund.order_id in changed:
            by_order.setdefault(refund.order_id, []).append(refund)
    settled: dict[str, VisitorRefund] = {}
    for order_id, of_order in by_order.items():
        after = _settle(visitor, orders, order_id, of_order)
        _move(orders, refunded, of_order, after)
        settled.update((refund.event, refund) for refund in after)
    newest = [tuple(settled.get(refund.event, refund)) for refund in kept[-MAX_REFUNDS:]]
    values = {REFUNDED: refunded, REFUNDS: tuple(newest)}
    extra = {**visitor.extra, **values}
    extra = {name: value for name, value in extra.items() if value or name not in values}
    return visitor._replace(orders=orders, extra=extra or NO_EXTRA)


def _refund_of(event: Event, order_id: str) -> VisitorRefund:
    _, _, at_ms, _, product_id, _, price_minor, currency, quantity, *_ = event
    return VisitorRefund(order_id, at_ms, event_key(event), product_id, quantity, price_minor, currency, {})


def _amounts_of_none(visitor: Visitor, event: Event) -> dict[str, int]:
    """What a refund of no order is of: as sent, or at the price that was last paid for the product."""
    if event.price_minor is not None and event.currency is not None:
        return {event.currency: event.price_minor * event.quantity}
    bought = _purchases(visitor, event.product_id)[-1:] if event.product_id else []
    return {
        one.currency: one.price_minor * event.quantity
        for one in bought
        if one.price_minor is not None and one.currency is not None
    }


def _settle(
    visitor: Visitor, orders: Mapping[bytes, int], order_id: str, refunds: Sequence[VisitorRefund]
) -> list[VisitorRefund]:
    """The kept refunds of one order, each with what it takes."""
    lines, before = [], {}
    for product_id in {refund.product_id for refund in refunds} - {""}:
        lines += _lines_of(visitor, orders, order_id, product_id)
    products = {line.product_id for line in lines}
    for currency in visitor.totals.revenue_minor:
        paid = orders.get(paid_fact(order_id, currency))
        if paid is None:
            continue
        kept = sum(refund.taken.get(currency, 0) for refund in refunds)
        before[currency] = max(0, orders.get(given_back_fact(order_id, currency), 0) - kept)
        priced = sum(line.quantity * line.price_minor for line in lines if line.currency == currency)
        lines.append(_Paid("", 1, max(0, paid - priced), currency))
    taken: dict[str, dict[str, int]] = {refund.event: {} for refund in refunds}
    for back in given_back(lines, [_fixed(one, products) for one in refunds], before):
        if back.currency is not None and back.amount_minor:
            _change(taken[back.refund.event], back.currency, back.amount_minor)
    return [refund._replace(taken=taken[refund.event]) for refund in refunds]


def _fixed(refund: VisitorRefund, products: Collection[str]) -> VisitorRefund:
    """The refund; of units whose purchase is not remembered any more, what it took while that was."""
    if refund.price_minor is not None or not refund.product_id or refund.product_id in products:
        return refund
    for currency, amount in refund.taken.items():
        return refund._replace(quantity=1, price_minor=amount, currency=currency)
    return refund


def _lines_of(visitor: Visitor, orders: Mapping[bytes, int], order_id: str, product_id: str) -> list[_Paid]:
    """Lines of a product in an order, as far as the visitor's actions have them."""
    first_line = digest_of(line_key(order_id, product_id, "1"))
    times = {orders.get(first_line), orders.get(digest_of(order_id))}
    return [
        _Paid(product_id, one.quantity, one.price_minor, one.currency)
        for one in _purchases(visitor, product_id)
        if one.at_ms in times and one.price_minor is not None and one.currency is not None
    ]


def _purchases(visitor: Visitor, product_id: str) -> list[Action]:
    actions = visitor.tail.actions()
    return [one for one in actions if one.rank == PURCHASE and one.product_id == product_id]


def _move(
    orders: dict[bytes, int],
    refunded: dict[str, int],
    before: Sequence[VisitorRefund],
    after: Sequence[VisitorRefund],
) -> None:
    """Change the order's facts and the visitor's total by what its refunds take now and did not before."""
    for was, now in zip(before, after, strict=True):
        for currency in was.taken.keys() | now.taken.keys():
            change = now.taken.get(currency, 0) - was.taken.get(currency, 0)
            _change(orders, given_back_fact(was.order_id, currency), change)
            _change(refunded, currency, change)


def _change(sums: dict[_Name, int], name: _Name, change: int) -> None:
    sums[name] = max(0, min(sums.get(name, 0) + change, MAX_SUM_MINOR))
    if not sums[name]:
        del sums[name]
