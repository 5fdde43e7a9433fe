"""Orders of a visitor: every line counts once, and each order in the minute of its earliest line."""

from collections.abc import Mapping

from contracts.buckets import bucket_start
from contracts.events import Event
from contracts.numbers import MAX_SUM_MINOR
from contracts.order_lines import event_key, first_part, line_key, line_of
from contracts.visitor import digest_of
from stream.batch.entries import CountedLine

MAX_KNOWN = 1_024
"""Facts about orders that a visitor's state keeps: three for an order of one line, one more for each
further line."""


def take_line(orders: dict[bytes, int], event: Event) -> CountedLine | None:
    """Note a purchase among the known orders, which are changed; None if it is a line they have already.

    A line is known by order and product, whatever its event id: a thank-you page that is loaded again sends
    the same. One order is either lines or an amount as a whole, whichever came first.
    Purchases without an `order_id` are one order if the same visitor made them in the same millisecond.
    """
    at_ms, order_id = event.event_time_ms, event.order_id
    if order_id is None:
        changes = _note_order(orders, digest_of(f"@{at_ms}"), at_ms)
        return CountedLine(event, changes, event_key(event), b"")
    line, order = line_of(event), digest_of(order_id)
    known = digest_of(line_key(event.order_id, event.product_id, line))
    is_new = order not in orders and len(orders) < MAX_KNOWN  # nothing of it was dropped
    if not is_new and (known in orders or _is_known_otherwise(orders, event, order, line)):
        return None
    changes = _note_order(orders, order, at_ms)
    orders[known] = at_ms
    if event.price_minor is not None and event.currency is not None:
        _grow(orders, paid_fact(order_id, event.currency), event.price_minor * event.quantity)
    while len(orders) > MAX_KNOWN:
        del orders[next(iter(orders))]
    return CountedLine(event, changes, event_key(event), known)


def _is_known_otherwise(orders: Mapping[bytes, int], event: Event, order: bytes, line: str) -> bool:
    if not event.product_id:
        return order in orders
    if digest_of(line_key(event.order_id, "", "1")) in orders:
        return True
    first = first_part(line)  # both parts of a line come in one message, or the other came without parts
    if first is None:
        return False
    return orders.get(digest_of(line_key(event.order_id, event.product_id, first))) != event.event_time_ms


def _note_order(orders: dict[bytes, int], order: bytes, at_ms: int) -> tuple[tuple[int, int], ...]:
    """Move the order to its earliest line; what that changes in the number of orders."""
    known_ms = orders.get(order)
    if known_ms is not None and known_ms <= at_ms:
        return ()
    orders[order] = at_ms
    added = (bucket_start(at_ms, "minute"), 1)
    return (added,) if known_ms is None else ((bucket_start(known_ms, "minute"), -1), added)


def paid_fact(order_id: str, currency: str) -> bytes:
    """The fact that has what was paid of an order in a currency."""
    return digest_of(f"{order_id}\n+{currency}")


def given_back_fact(order_id: str, currency: str) -> bytes:
    """The fact that has what went back of it."""
    return digest_of(f"{order_id}\n-{currency}")


def _grow(orders: dict[bytes, int], fact: bytes, amount: int) -> None:
    orders[fact] = min(orders.get(fact, 0) + amount, MAX_SUM_MINOR)
