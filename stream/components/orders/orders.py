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

MAX_REPORTS = 500
"""Reports of one order that are remembered; more is no order, but an id that many orders have."""


class Order(NamedTuple):
    """All that was told of one order."""

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
    """Each line once, as the visitor told it who was first; an order as a whole or its lines, not both."""
    if not lines:
        return []
    first = min(lines, key=lambda line: (line.at_ms, line.visitor, line.event))
    told: dict[str, LineReport] = {}
    for line in sorted(lines, key=lambda line: (line.at_ms, line.event)):
        if line.visitor == first.visitor and bool(line.product_id) == bool(first.product_id):
            told.setdefault(line.line, line)
    return list(told.values())


def effects_of(order: Order) -> Effects:
    """What the shop's and the products' counters need, beside what each line was counted with."""
    effects: Effects = {}
    if len(order.lines) <= 1 and not order.refunds:  # nearly every order, counted as it was told
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


class _Left:
    """What of an order was not given back yet, while its refunds are gone through."""

    def __init__(self, standing: Sequence[LineReport]) -> None:
        self.pieces = {line.line: line.quantity for line in standing if line.product_id}
        self.money: dict[str, int] = {}
        self.standing = standing
        for line in standing:
            if line.price_minor is not None and line.currency is not None:
                amount = line.price_minor * line.quantity
                self.money[line.currency] = self.money.get(line.currency, 0) + amount

    def take_money(self, currency: str, amount: int) -> int:
        """As much of the amount as the order has left; all of it if the order tells no money of this kind."""
        if currency not in self.money:
            return amount
        taken = min(amount, self.money[currency])
        self.money[currency] -= taken
        return taken

    def take_pieces(self, product: str, pieces: int) -> Iterator[tuple[LineReport, int]]:
        """Lines of a product, or of all for an empty one, with the pieces that go back of each."""
        for line in self.standing:
            number = min(pieces, self.pieces.get(line.line, 0))
            if number and product in ("", line.product_id):
                self.pieces[line.line] -= number
                pieces -= number
                yield line, number


def _refunded(
    standing: Sequence[LineReport], refunds: Sequence[RefundReport]
) -> Iterator[tuple[int, str, str, int]]:
    """Minute, metric, product (empty: of the shop alone) and number of everything that went back."""
    left = _Left(standing)
    for refund in sorted(refunds, key=lambda refund: (refund.at_ms, refund.event)):
        minute_ms, product = bucket_start(refund.at_ms, "minute"), refund.product_id
        if refund.price_minor is not None and refund.currency is not None:
            amount = left.take_money(refund.currency, refund.price_minor * refund.quantity)
            yield minute_ms, Metric.REFUNDED + refund.currency, product, amount
            if product:
                list(left.take_pieces(product, refund.quantity))
                yield minute_ms, Metric.RETURNED, product, refund.quantity
            continue
        most = refund.quantity if product else sum(left.pieces.values())
        for line, pieces in left.take_pieces(product, most):
            yield minute_ms, Metric.RETURNED, line.product_id, pieces
            if line.price_minor is not None and line.currency is not None:
                amount = left.take_money(line.currency, line.price_minor * pieces)
                yield minute_ms, Metric.REFUNDED + line.currency, line.product_id, amount
        if not product:
            for currency, amount in left.money.items():
                yield minute_ms, Metric.REFUNDED + currency, "", left.take_money(currency, amount)


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
