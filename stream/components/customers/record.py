"""The pure steps of a customer's record: logins, orders, and what other devices must know of them."""

from contracts.customers import (
    MAX_DEVICES,
    MAX_LINES,
    MAX_ORDERS,
    MAX_SEEN,
    Bought,
    Customer,
    CustomerOrder,
    CustomerOrderLine,
    CustomerReport,
    Device,
    ReportKind,
)
from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import digest_of
from stream.components.customers.refunds import add_refund, see_customer, settle

MAX_UNLINKED = 20


def add_report(customer: Customer | None, report: CustomerReport) -> Customer | None:
    """The record after a report; the same object if that changes nothing.

    Nobody begins to be a customer by logging out.
    """
    if report.kind is ReportKind.PURCHASE and report.bought is not None:
        return add_purchase(customer, report, report.bought)
    if report.kind is ReportKind.REFUND and report.bought is not None:
        return add_refund(customer, report.at_ms, report.bought)
    if report.kind is ReportKind.LOGIN:
        return _log_in(customer or Customer(report.at_ms, report.at_ms), report)
    if customer is None:
        return None
    devices = [device for device in customer.devices if device.visitor_id != report.visitor_id]
    if report.kind is ReportKind.UNLINK:
        digest = digest_of(report.visitor_id)
        kept = [one for one in customer.unlinked if one[0] != digest]
        unlinked = ((digest, report.at_ms), *kept)[:MAX_UNLINKED]
        orders = tuple([_without_device(order, report.visitor_id) for order in customer.orders])
        return customer._replace(devices=tuple(devices), unlinked=unlinked, orders=orders)
    known = device_of(customer, report.visitor_id)
    if known is None or report.at_ms < known.last_ms:
        return customer
    return _put_device(customer, known._replace(until_ms=max(known.until_ms, report.at_ms)))


def device_of(customer: Customer, visitor_id: str) -> Device | None:
    """A linked device."""
    return next((device for device in customer.devices if device.visitor_id == visitor_id), None)


def active_device(customer: Customer) -> Device | None:
    """The device with the newest login on which the customer did not log out since."""
    return next((device for device in customer.devices if not device.until_ms), None)


def others_of(customer: Customer, visitor_id: str) -> list[str]:
    """Linked devices but this one, on which the customer is logged in."""
    ids = [device.visitor_id for device in customer.devices if not device.until_ms]
    return [id_ for id_ in ids if id_ != visitor_id]


def add_purchase(customer: Customer | None, report: CustomerReport, bought: Bought) -> Customer:
    """The record with one more line of an order; one that is there already changes nothing.

    An order is sent by one device or server: what another sends of the same order is the same once more.
    """
    customer = customer or Customer(report.at_ms, report.at_ms)
    fresh = CustomerOrder(bought.order_id, report.visitor_id, report.at_ms)
    known = next((order for order in customer.orders if order.key == fresh.key), None)
    if known is None and customer.seen and digest_of(fresh.key) in customer.seen:
        return customer
    order = known or fresh
    if order.visitor_id not in (report.visitor_id, "") or len(order.lines) >= MAX_LINES:
        return customer
    if any(line.event == bought.event for line in order.lines):
        return customer
    line = CustomerOrderLine(
        bought.event, bought.product_id, bought.quantity, bought.price_minor, bought.currency
    )
    order = order._replace(at_ms=min(order.at_ms, report.at_ms), lines=(*order.lines, line))
    others = [one for one in customer.orders if one is not known]
    after = see_customer(customer, report.at_ms)._replace(
        orders=tuple(sorted((*others, order), key=lambda one: one.at_ms, reverse=True)),
        n_orders=customer.n_orders + (known is None),
        units=min(customer.units + (bought.quantity if bought.product_id else 0), MAX_SUM_MINOR),
        revenue_minor=_add_money(customer, bought),
    )
    if customer.refunds and bought.order_id is not None:
        after = settle(customer, after, bought.order_id)
    return _cut_orders(after)


def _cut_orders(customer: Customer) -> Customer:
    cut = customer.orders[MAX_ORDERS:]
    if not cut:
        return customer
    ids = {order.order_id for order in cut}
    gone = [refund.event for refund in customer.refunds if refund.order_id in ids]
    digests = map(digest_of, [*gone, *[order.key for order in cut]])
    return customer._replace(
        orders=customer.orders[:MAX_ORDERS],
        refunds=tuple([refund for refund in customer.refunds if refund.order_id not in ids]),
        seen=(*customer.seen, *digests)[-MAX_SEEN:],
    )


def _add_money(customer: Customer, bought: Bought) -> dict[str, int]:
    revenue = dict(customer.revenue_minor)
    if bought.price_minor is not None and bought.currency is not None:
        amount = revenue.get(bought.currency, 0) + bought.price_minor * bought.quantity
        revenue[bought.currency] = min(amount, MAX_SUM_MINOR)
    return revenue


def _log_in(customer: Customer, report: CustomerReport) -> Customer:
    digest = digest_of(report.visitor_id)
    if any(known == digest and at_ms >= report.at_ms for known, at_ms in customer.unlinked):
        return customer
    at_ms = report.at_ms
    known = device_of(customer, report.visitor_id)
    if known is None:
        device = Device(report.visitor_id, at_ms, at_ms)
    else:
        until_ms = 0 if at_ms >= known.until_ms else known.until_ms
        last_ms = max(known.last_ms, at_ms)
        device = known._replace(first_ms=min(known.first_ms, at_ms), last_ms=last_ms, until_ms=until_ms)
    return _put_device(see_customer(customer, at_ms), device)


def _put_device(customer: Customer, device: Device) -> Customer:
    others = [one for one in customer.devices if one.visitor_id != device.visitor_id]
    devices = sorted((device, *others), key=lambda one: one.last_ms, reverse=True)
    return customer._replace(devices=tuple(devices[:MAX_DEVICES]))


def _without_device(order: CustomerOrder, visitor_id: str) -> CustomerOrder:
    return order._replace(visitor_id="") if order.visitor_id == visitor_id else order
