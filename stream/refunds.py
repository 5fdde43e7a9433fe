"""What went back of an order: it follows from its lines and its refunds, whatever their order of arrival."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class OrderedLine(Protocol):
    """A line of an order; the price is of one unit."""

    @property
    def product_id(self) -> str:
        """The product; empty for the order as a whole."""

    @property
    def quantity(self) -> int:
        """Units that were bought."""

    @property
    def price_minor(self) -> int | None:
        """The price in minor units, if it is known."""

    @property
    def currency(self) -> str | None:
        """The currency of the price."""


class SentRefund(OrderedLine, Protocol):
    """What was sent of money that went back; without a price it is of what was paid."""

    @property
    def event(self) -> str:
        """What distinguishes its event from all others."""

    @property
    def at_ms(self) -> int:
        """The time of its event."""


class GivenBack(NamedTuple):
    """A part of what went back: units of a product (0 of none), money in a currency, or both."""

    refund: SentRefund
    product_id: str
    quantity: int
    currency: str | None
    amount_minor: int


def given_back(
    lines: Sequence[OrderedLine], refunds: Iterable[SentRefund], before: Mapping[str, int] | None = None
) -> Iterator[GivenBack]:
    """What the refunds, the oldest first, gave back of an order with these lines.

    Of a currency in which the order was paid no more than was paid, of another what the refund says. One
    without a price takes units that are left, the first lines first, at their prices; one without a product
    too takes all that is left. `before` is money that went back by other refunds.
    """
    left = _Left(lines, before or {})
    for refund in sorted(refunds, key=lambda refund: (refund.at_ms, refund.event)):
        product, currency = refund.product_id, refund.currency
        if refund.price_minor is not None and currency is not None:
            amount = left.take_money(currency, refund.price_minor * refund.quantity)
            yield GivenBack(refund, product, refund.quantity if product else 0, currency, amount)
            if product:
                list(left.take_pieces(product, refund.quantity))
            continue
        most = refund.quantity if product else sum(left.pieces)
        for line, pieces in left.take_pieces(product, most):
            amount = 0
            if line.price_minor is not None and line.currency is not None:
                amount = left.take_money(line.currency, line.price_minor * pieces)
            yield GivenBack(refund, line.product_id, pieces, line.currency, amount)
        if not product:
            for code, rest in left.money.items():
                yield GivenBack(refund, "", 0, code, left.take_money(code, rest))


class _Left:
    """What of an order was not given back yet, while its refunds are gone through."""

    def __init__(self, lines: Sequence[OrderedLine], before: Mapping[str, int]) -> None:
        self.lines = lines
        self.pieces = [line.quantity if line.product_id else 0 for line in lines]
        self.money: dict[str, int] = {}
        for line in lines:
            if line.price_minor is not None and line.currency is not None:
                amount = line.price_minor * line.quantity
                self.money[line.currency] = self.money.get(line.currency, 0) + amount
        for currency in self.money:
            self.money[currency] = max(0, self.money[currency] - before.get(currency, 0))

    def take_money(self, currency: str, amount: int) -> int:
        """As much of the amount as the order has left; all of it if the order has no money of this kind."""
        if currency not in self.money:
            return amount
        taken = min(amount, self.money[currency])
        self.money[currency] -= taken
        return taken

    def take_pieces(self, product: str, pieces: int) -> Iterator[tuple[OrderedLine, int]]:
        """Lines of a product, or of all for an empty one, with the pieces that go back of each."""
        for place, line in enumerate(self.lines):
            number = min(pieces, self.pieces[place])
            if number and product in ("", line.product_id):
                self.pieces[place] -= number
                pieces -= number
                yield line, number
