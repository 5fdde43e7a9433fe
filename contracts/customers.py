"""Customers: what is kept of who logs in and buys, and the records that their partition gets.

A customer lives in the partition of their own id. Partitions of devices send it logins and purchases
through the topic `customers`, keyed by the customer's id.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import msgpack
import orjson

from contracts.blob_formats import unknown_format
from contracts.currencies import MINOR_DIGITS
from contracts.fields import InvalidEvent, identifier
from contracts.shapes import LATEST_MS, require

MAX_DEVICES = 20
"""Linked devices that are kept, those with the newest login."""
MAX_ORDERS = 50
"""Orders that are kept with their lines, the newest; older ones stay in the totals."""
MAX_LINES = 250
"""Lines of one order that are kept and counted."""
MAX_REFUNDS = 100
"""Refunds that are kept, the newest; what older ones gave back stays as an amount."""
MAX_SEEN = 1_024
"""Orders and refunds that are known by a digest alone, so that none of them counts again."""

FORMAT = 1
"""First element of the blob of a customer of whom no refunds are kept."""
FORMAT_WITH_REFUNDS = 2
"""That of one with refunds. The others stay readable for versions that keep none."""


class ReportKind(StrEnum):
    """What a partition reports of a customer."""

    LOGIN = "login"
    LOGOUT = "logout"
    UNLINK = "unlink"
    PURCHASE = "purchase"
    REFUND = "refund"


class Bought(NamedTuple):
    """One line of an order, or what went back of it. `event` is a digest of its event, in hexadecimal digits.

    A refund without a price is of what was paid, one without a product of the whole order.
    """

    event: str
    order_id: str | None
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None


_WITH_LINE = (ReportKind.PURCHASE, ReportKind.REFUND)


class CustomerReport(NamedTuple):
    """One report about a customer; `visitor_id` is the device, or the customer who needs none."""

    kind: ReportKind
    customer_id: str
    visitor_id: str
    at_ms: int
    bought: Bought | None = None


def encode_report(report: CustomerReport) -> bytes:
    """The value of a record of the topic `customers`."""
    bought = None if report.bought is None else report.bought._asdict()
    return orjson.dumps({**report._asdict(), "bought": bought})


def decode_report(raw: bytes | None) -> CustomerReport:
    """The report in a record's value; raises `InvalidEvent`, `customers.not_report` or an id's code."""
    try:
        fields = orjson.loads(raw or b"")
        kind, at_ms, bought = ReportKind(fields["kind"]), fields["at_ms"], fields.get("bought")
        if (
            type(at_ms) is not int
            or abs(at_ms) > LATEST_MS
            or (bought is not None) is not (kind in _WITH_LINE)
        ):
            raise ValueError(kind)
        customer_id, visitor_id = (
            identifier(name, fields.get(name)) for name in ("customer_id", "visitor_id")
        )
        return CustomerReport(
            kind, customer_id, visitor_id, at_ms, None if bought is None else _bought(bought)
        )
    except InvalidEvent:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InvalidEvent("customers.not_report", "must be a JSON object about a customer") from exc


def _bought(fields: Mapping[str, Any]) -> Bought:
    values: list[Any] = [fields.get(name) for name in Bought._fields]
    kinds = (str, str | None, str, int, int | None, str | None)
    bought = Bought(*values)
    if not all(map(isinstance, values, kinds)) or (bought.currency or "EUR") not in MINOR_DIGITS:
        raise TypeError(fields)
    return bought


class Device(NamedTuple):
    """A linked device. `until_ms` is when the customer logged out of it, 0 while they are logged in."""

    visitor_id: str
    first_ms: int
    last_ms: int
    until_ms: int = 0


class CustomerOrderLine(NamedTuple):
    """A line of an order; the price is of one unit."""

    event: str
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None


class CustomerOrder(NamedTuple):
    """An order. `order_id` is None where the shop named none: then it is all bought in one millisecond.

    `refunded_minor` is what went back by refunds that are not kept: older ones, and those that an earlier
    version noted.
    """

    order_id: str | None
    visitor_id: str
    at_ms: int
    lines: tuple[CustomerOrderLine, ...] = ()
    refunded_minor: Mapping[str, int] = {}

    @property
    def key(self) -> str:
        """What distinguishes it from the customer's others."""
        return self.order_id if self.order_id is not None else f"\n{self.visitor_id}\n{self.at_ms}"


class CustomerRefund(NamedTuple):
    """Money that went back of an order, which may be sent later or never; fields as in `Bought`."""

    order_id: str
    at_ms: int
    event: str
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None


class Customer(NamedTuple):
    """What is kept of a customer; lists have the newest first.

    `first_ms` and `last_ms` are of logins and purchases; of refunds while nothing else is known.
    `refunds` are those of `orders`, and of orders that are not known yet; `refunded_minor` is what all gave
    back, those not kept too.
    `seen` has digests of orders that are in the totals and not in `orders` any more, and of refunds that are
    not in `refunds`.
    `unlinked` has digests of devices that people have unlinked, with the time: what was reported of them
    before does not link them again.
    """

    first_ms: int
    last_ms: int
    devices: tuple[Device, ...] = ()
    orders: tuple[CustomerOrder, ...] = ()
    n_orders: int = 0
    units: int = 0
    revenue_minor: Mapping[str, int] = {}
    refunded_minor: Mapping[str, int] = {}
    seen: tuple[bytes, ...] = ()
    unlinked: tuple[tuple[bytes, int], ...] = ()
    refunds: tuple[CustomerRefund, ...] = ()


_FIELDS = {FORMAT: len(Customer._fields) - 1, FORMAT_WITH_REFUNDS: len(Customer._fields)}
"""Format to the number of fields; no format will have fewer than the first."""

_pack = msgpack.Packer().pack


def pack_customer(customer: Customer) -> bytes:
    """The blob of a customer."""
    fields = (FORMAT_WITH_REFUNDS, *customer) if customer.refunds else (FORMAT, *customer[:-1])
    blob: bytes = _pack(fields)
    return blob


def unpack_customer(blob: bytes) -> Customer:
    """The customer in a blob; raises `LaterFormat`, or some other exception for what no version wrote."""
    version, *fields = msgpack.unpackb(blob, use_list=False)
    if len(fields) != _FIELDS.get(version):
        found = version if len(fields) >= _FIELDS[FORMAT] else None
        raise unknown_format("customer", found, FORMAT_WITH_REFUNDS)
    customer = Customer(*fields)
    return customer._replace(
        devices=tuple([Device(*device) for device in customer.devices]),
        orders=tuple([_order(*order) for order in customer.orders]),
        refunds=tuple([CustomerRefund(*refund) for refund in customer.refunds]),
    )


def check_customer(customer: Customer) -> None:
    """Raises `ValueError` for a customer with anything in it that no version wrote."""
    require(customer, Customer)
    money = [*customer.revenue_minor, *customer.refunded_minor]
    money += [refund.currency for refund in customer.refunds if refund.currency is not None]
    for order in customer.orders:
        money += [
            *order.refunded_minor,
            *[line.currency for line in order.lines if line.currency is not None],
        ]
    if not MINOR_DIGITS.keys() >= set(money):
        raise ValueError("a customer has an amount without a currency")


def _order(
    order_id: str | None, visitor_id: str, at_ms: int, lines: Sequence[Any], refunded: Mapping[str, int]
) -> CustomerOrder:
    return CustomerOrder(
        order_id, visitor_id, at_ms, tuple([CustomerOrderLine(*line) for line in lines]), refunded
    )
