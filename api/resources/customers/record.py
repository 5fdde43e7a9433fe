"""A customer's record as an answer."""

from collections.abc import Iterable, Mapping

from api.resources.customers import schemas
from contracts.customers import Customer, CustomerOrder, CustomerOrderLine, Device
from readers.answers import to_money
from readers.intervals import to_datetime
from readers.stream_time import StreamTime


def to_customer(customer_id: str, customer: Customer, time: StreamTime) -> schemas.Customer:
    """The answer of `/v1/customers/{customer_id}`."""
    gross, refunded = customer.revenue_minor, customer.refunded_minor
    return schemas.Customer(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        customer_id=customer_id,
        first_seen_at=to_datetime(customer.first_ms),
        last_seen_at=to_datetime(customer.last_ms),
        totals=schemas.CustomerTotals(
            orders=customer.n_orders,
            units=customer.units,
            revenue=to_money(gross),
            refunded=to_money(refunded),
            net_revenue=to_money(_less(gross, refunded)),
        ),
        orders=[_order(order) for order in customer.orders],
        visitors=[_visitor(device) for device in customer.devices],
    )


def _visitor(device: Device) -> schemas.LinkedVisitor:
    return schemas.LinkedVisitor(
        visitor_id=device.visitor_id,
        first_login_at=to_datetime(device.first_ms),
        last_login_at=to_datetime(device.last_ms),
        logged_out_at=to_datetime(device.until_ms) if device.until_ms else None,
    )


def _order(order: CustomerOrder) -> schemas.CustomerOrder:
    return schemas.CustomerOrder(
        order_id=order.order_id,
        visitor_id=order.visitor_id or None,
        at=to_datetime(order.at_ms),
        lines=[_line(line) for line in order.lines],
        value=to_money(_sum(order.lines)),
    )


def _line(line: CustomerOrderLine) -> schemas.OrderLine:
    price = (
        to_money({line.currency: line.price_minor})
        if line.price_minor is not None and line.currency is not None
        else [None]
    )
    return schemas.OrderLine(product_id=line.product_id or None, quantity=line.quantity, unit_price=price[0])


def _sum(lines: Iterable[CustomerOrderLine]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for line in lines:
        if line.price_minor is not None and line.currency is not None:
            sums[line.currency] = sums.get(line.currency, 0) + line.quantity * line.price_minor
    return sums


def _less(gross: Mapping[str, int], refunded: Mapping[str, int]) -> dict[str, int]:
    return {code: gross.get(code, 0) - refunded.get(code, 0) for code in {**gross, **refunded}}
