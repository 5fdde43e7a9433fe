"""What an order comes to: the lines that stand, those that are taken back, and the money that went back.

Everything follows from the set of reports, whatever their order of arrival: what a new report changes is the
difference of what the order came to before and after it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgpack

from contracts.buckets import Metric, bucket_start
from contracts.order_reports import LineReport, RefundReport
from contracts.visitor import DIGEST_BYTES
from stream.refunds import given_back

MAX_REPORTS = 500
"""Reports of one order that are remembered; more is no order, but an id that many orders have."""


class Order(NamedTuple):
    """All that was reported of one order."""

    lines: tuple[LineReport, ...] = ()
    refunds: tuple[RefundReport, ...] = ()

    @property
    def size(self) -> int:
        """Number of reports."""
        return len(self.lines) + len(self.refunds)

    def knows(self, event: str) -> bool:
        """Whether an event was reported: a record may come twice."""
        return event in [line.event for line in self.lines] or event in [
            refund.event for refund in self.refunds
        ]

    def add(self, report: LineReport | RefundReport) -> "Order":
        """The order with one more report."""
        if isinstance(report, LineReport):
            return Order((*self.lines, report), self.refunds)
        return Order(self.lines, (*self.refunds, report))


UNKNOWN = Order()

Effects = dict[tuple[int, str, str], int]
"""(start of a minute, metric, product or empty for the shop) to what is to be added to what lines counted."""


def standing_lines(lines: Sequence[LineReport]) -> list[LineReport]:
    """Each line once, as the visitor sent it who was first; an order as a whole or its lines, not both."""
    if not lines:
        return []
    first = min(lines, key=lambda line: (line.at_ms, line.visitor, line.event))
    standing: dict[str, LineReport] = {}
    for line in sorted(lines, key=lambda line: (line.at_ms, line.event)):
        if line.visitor == first.visitor and bool(line.product_id) == bool(first.product_id):
            standing.setdefault(line.line, line)
    return list(standing.values())


def effects_of(order: Order) -> Effects:
    """What the shop's and the products' counters need, beside what each line was counted with."""
    effects: Effects = {}
    if len(order.lines) <= 1 and not order.refunds:  # nearly every order, counted as it came
        return effects
    standing = standing_lines(order.lines)
    kept = {line.event for line in standing}
    for line in order.lines:
        if line.event not in kept:
            _count_line(effects, line, -1)
    _count_order(effects, standing, order.lines)
    for minute_ms, metric, product, number in _refunded(standing, order.refunds):
        _add(effects, minute_ms, metric, product, number)
        if product:
            _add(effects, minute_ms, metric, "", number)
    return {place: number for place, number in effects.items() if number}


def change_of(before: Order, after: Order) -> Effects:
    """What is to be added to counters once an order is known better."""
    effects = effects_of(after)
    if not effects and not before.lines and not before.refunds:
        return effects
    for place, number in effects_of(before).items():
        effects[place] = effects.get(place, 0) - number
    return {place: number for place, number in effects.items() if number}


def _count_line(effects: Effects, line: LineReport, sign: int) -> None:
    minute_ms, product = bucket_start(line.at_ms, "minute"), line.product_id
    for at in {product, ""}:
        _add(effects, minute_ms, Metric.PURCHASES, at, sign)
        if product:
            _add(effects, minute_ms, Metric.UNITS, at, sign * line.quantity)
        if line.price_minor is not None and line.currency is not None:
            amount = line.price_minor * line.quantity
            _add(effects, minute_ms, Metric.REVENUE + line.currency, at, sign * amount)


def _count_order(effects: Effects, standing: Sequence[LineReport], lines: Sequence[LineReport]) -> None:
    """Count the order once, in the minute of its earliest line, if it was counted with any of these lines."""
    changes = [change for line in lines for change in line.orders]
    if sum(number for _, number in changes) < 1:
        return  # it was counted with a line that nobody reported: by an earlier version, or long ago
    for minute_ms, number in changes:
        _add(effects, minute_ms, Metric.ORDERS, "", -number)
    _add(effects, bucket_start(min(line.at_ms for line in standing), "minute"), Metric.ORDERS, "", 1)


def _refunded(
    standing: Sequence[LineReport], refunds: Sequence[RefundReport]
) -> Iterator[tuple[int, str, str, int]]:
    """Minute, metric, product (empty: of the shop alone) and number of everything that went back."""
    for refund, product, quantity, currency, amount in given_back(standing, refunds):
        minute_ms = bucket_start(refund.at_ms, "minute")
        yield minute_ms, Metric.RETURNED, product, quantity
        if currency is not None:
            yield minute_ms, Metric.REFUNDED + currency, product, amount


def _add(effects: Effects, minute_ms: int, metric: str, product: str, number: int) -> None:
    place = (minute_ms, metric, product)
    effects[place] = effects.get(place, 0) + number


_pack = msgpack.Packer().pack


def pack_order(order: Order) -> bytes:
    """The blob of an order."""
    lines = [
        (_raw(line.event), *line[1:6], _raw(line.line), _raw(line.visitor), line.orders)
        for line in order.lines
    ]
    blob: bytes = _pack((lines, [(_raw(refund.event), *refund[1:]) for refund in order.refunds]))
    return blob


def unpack_order(blob: bytes) -> Order:
    """The order in a blob."""
    lines, refunds = msgpack.unpackb(blob, use_list=False)
    return Order(
        tuple([_line(line) for line in lines]),
        tuple([RefundReport(event.hex(), *rest) for event, *rest in refunds]),
    )


def _line(fields: Sequence[Any]) -> LineReport:
    event, at_ms, product_id, quantity, price_minor, currency, line, visitor, orders = fields
    return LineReport(
        event.hex(), at_ms, product_id, quantity, price_minor, currency, line.hex(), visitor.hex(), orders
    )


def _raw(digits: str) -> bytes:
    return bytes.fromhex(digits)[:DIGEST_BYTES]
