"""Orders of a visitor: every line counts once, and each order in the minute of its earliest line."""

from collections.abc import Mapping, Sequence

from contracts.buckets import bucket_start
from contracts.carts import PURCHASE
from contracts.events import Event
from contracts.numbers import MAX_SUM_MINOR
from contracts.order_lines import event_key, first_part, line_key, line_of
from contracts.visitor import REFUNDED, Action, Visitor, digest_of
from stream.batch.entries import CountedLine

MAX_KNOWN = 1_024
"""Facts about orders that a visitor's state keeps: three for an order of one line, one more for each
further line."""


def take_line(orders: dict[bytes, int], event: Event) -> CountedLine | None:
    """Note a purchase among the known orders, which are changed; None if it is a line they have already.

    A line is known by order and product, whatever its event id: a thank-you page that is loaded again tells
    the same. One order is either lines or an amount as a whole, whichever came first.
    Purchases without an `order_id` are one order if the same visitor made them in the same millisecond.
    """
    at_ms, order_id = event.event_time_ms, event.order_id
    if order_id is None:
        changes = _note_order(orders, digest_of(f"@{at_ms}"), at_ms)
        return CountedLine(event, changes, event_key(event), b"")
    line, order = line_of(event), digest_of(order_id)
    known = digest_of(line_key(event, line))
    is_new = order not in orders and len(orders) < MAX_KNOWN  # nothing of it was dropped
    if not is_new and (known in orders or _is_told_otherwise(orders, event, order, line)):
        return None
    changes = _note_order(orders, order, at_ms)
    orders[known] = at_ms
    if event.price_minor is not None and event.currency is not None:
        _grow(orders, _paid(order_id, event.currency), event.price_minor * event.quantity)
    while len(orders) > MAX_KNOWN:
        del orders[next(iter(orders))]
    return CountedLine(event, changes, event_key(event), known)


def _is_told_otherwise(orders: Mapping[bytes, int], event: Event, order: bytes, line: str) -> bool:
    if not event.product_id:
        return order in orders
    if digest_of(line_key(event._replace(product_id=""), "1")) in orders:
        return True
    first = first_part(line)  # both parts of a line come in one message, or the other told it without parts
    return first is not None and orders.get(digest_of(line_key(event, first))) != event.event_time_ms


def _note_order(orders: dict[bytes, int], order: bytes, at_ms: int) -> tuple[tuple[int, int], ...]:
    """Move the order to its earliest line; what that changes in the number of orders."""
    known_ms = orders.get(order)
    if known_ms is not None and known_ms <= at_ms:
        return ()
    orders[order] = at_ms
    added = (bucket_start(at_ms, "minute"), 1)
    return (added,) if known_ms is None else ((bucket_start(known_ms, "minute"), -1), added)


def refund_visitor(visitor: Visitor, refunds: Sequence[Event]) -> Visitor:
    """The visitor with what these refunds gave back, as far as it was told or their orders are known."""
    orders = dict(visitor.orders)
    refunded = dict(visitor.extra.get(REFUNDED, {}))
    for event in refunds:
        for currency, amount in _amounts_of(orders, visitor, event).items():
            left = _left(orders, event, currency)
            amount = amount if left is None else min(amount, left)
            if event.order_id is not None:
                _grow(orders, _given_back(event.order_id, currency), amount)
            refunded[currency] = min(refunded.get(currency, 0) + amount, MAX_SUM_MINOR)
    if not refunded:
        return visitor
    return visitor._replace(orders=orders, extra={**visitor.extra, REFUNDED: refunded})


def _amounts_of(orders: Mapping[bytes, int], visitor: Visitor, event: Event) -> dict[str, int]:
    """What a refund is of by currency: as told, at the price that was paid, or all that is left."""
    if event.price_minor is not None and event.currency is not None:
        return {event.currency: event.price_minor * event.quantity}
    if event.product_id:
        bought = _last_purchase(visitor, event.product_id)
        if bought is None or bought.price_minor is None or bought.currency is None:
            return {}
        return {bought.currency: bought.price_minor * event.quantity}
    lefts = {currency: _left(orders, event, currency) for currency in visitor.totals.revenue_minor}
    return {currency: left for currency, left in lefts.items() if left}


def _last_purchase(visitor: Visitor, product_id: str) -> Action | None:
    for action in reversed(visitor.tail.actions()):
        if action.rank == PURCHASE and action.product_id == product_id:
            return action
    return None


def _left(orders: Mapping[bytes, int], event: Event, currency: str) -> int | None:
    """What of the refund's order was not given back yet; None if the order is not known."""
    if event.order_id is None:
        return None
    paid = orders.get(_paid(event.order_id, currency))
    return None if paid is None else max(0, paid - orders.get(_given_back(event.order_id, currency), 0))


def _paid(order_id: str, currency: str) -> bytes:
    return digest_of(f"{order_id}\n+{currency}")


def _given_back(order_id: str, currency: str) -> bytes:
    return digest_of(f"{order_id}\n-{currency}")


def _grow(orders: dict[bytes, int], fact: bytes, amount: int) -> None:
    orders[fact] = min(orders.get(fact, 0) + amount, MAX_SUM_MINOR)
