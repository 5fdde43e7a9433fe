# cython: language_level=3, boundscheck=False, wraparound=False
"""Records of customers after what they bought under their own id, as `stream.components.customers` keeps them.

Taken here is what most purchases are: the newest order of a customer without devices or refunds, or one more
line of it.
"""

from cpython.tuple cimport PyTuple_GET_SIZE

from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "customers.pxi"  # positions in named tuples, see layout.py

from contracts.customers import FORMAT, MAX_LINES, MAX_ORDERS, Customer, CustomerOrder, CustomerOrderLine, pack_customer
from contracts.numbers import MAX_SUM_MINOR
from stream.components.customers.component import add_own

need(
    CUSTOMER_FIRST_MS == 0 and CUSTOMER_LAST_MS == 1 and CUSTOMER_DEVICES == 2 and CUSTOMER_ORDERS == 3
    and CUSTOMER_N_ORDERS == 4 and CUSTOMER_UNITS == 5 and CUSTOMER_REVENUE_MINOR == 6
    and CUSTOMER_REFUNDED_MINOR == 7 and CUSTOMER_SEEN == 8 and CUSTOMER_UNLINKED == 9
    and CUSTOMER_REFUNDS == 10 and CUSTOMER_FIELDS == 11
    and CUSTOMER_ORDER_FIELDS == 5 and CUSTOMER_ORDER_LINE_FIELDS == 5
)

cdef object _Customer = Customer, _CustomerOrder = CustomerOrder, _CustomerOrderLine = CustomerOrderLine
cdef object _NOTHING_REFUNDED = CustomerOrder._field_defaults["refunded_minor"]
cdef Py_ssize_t _MAX_ORDERS = MAX_ORDERS, _MAX_LINES = MAX_LINES
cdef long long _MAX_SUM = MAX_SUM_MINOR
cdef int _FORMAT = FORMAT
cdef Packer _packer = Packer()


def add_purchases(lines, refunds, values):
    """See `stream.components.customers.component.add_own`."""
    cdef dict changed = {}
    cdef list notices = []
    for line in lines:
        event = item(line, COUNTED_LINE_EVENT)
        if item(event, EVENT_CUSTOMER_ID) is not None:
            continue
        user_id = item(event, EVENT_USER_ID)
        known = changed.get(user_id)
        if known is None:
            known = values.get(user_id)
        after = _after(known, line, event)
        if after is None:
            _add_any((line,), (), {user_id: known}, changed, notices)
        elif after is not known:
            changed[user_id] = after
    for event in refunds:
        user_id = item(event, EVENT_USER_ID)
        _add_any((), (event,), {user_id: changed.get(user_id) or values.get(user_id)}, changed, notices)
    return changed, notices


cdef int _add_any(tuple lines, tuple refunds, dict values, dict changed, list notices) except -1:
    more, sent = add_own(lines, refunds, values)
    changed.update(more)
    notices.extend(sent)
    return 0


cdef object _after(object customer, object line, object event):
    """The record with one more purchase, see `stream.components.customers.record.add_purchase`; None for any other."""
    cdef long long at_ms = item(event, EVENT_EVENT_TIME_MS)
    cdef Py_ssize_t i, number = 0
    cdef tuple orders = ()
    order_id = item(event, EVENT_ORDER_ID)
    if order_id is None:
        return None
    if customer is not None:
        orders = item(customer, CUSTOMER_ORDERS)
        number = PyTuple_GET_SIZE(orders)
        if PyTuple_GET_SIZE(item(customer, CUSTOMER_DEVICES)) or PyTuple_GET_SIZE(item(customer, CUSTOMER_REFUNDS)):
            return None
    for i in range(number):
        if item(item(orders, i), CUSTOMER_ORDER_ORDER_ID) == order_id:
            return _after_line(customer, orders, line, event) if i == 0 else None
    if customer is not None and PyTuple_GET_SIZE(item(customer, CUSTOMER_SEEN)):
        return None
    if number >= _MAX_ORDERS or (number and at_ms <= <long long>item(item(orders, 0), CUSTOMER_ORDER_AT_MS)):
        return None
    return _with_order(customer, (_new_order(event, (_new_line(line, event),), _NOTHING_REFUNDED), *orders), 1, event)


cdef object _after_line(object customer, tuple orders, object line, object event):
    """The record with one more line of its newest order."""
    cdef long long at_ms = item(event, EVENT_EVENT_TIME_MS)
    cdef Py_ssize_t i, number
    cdef tuple lines
    order = item(orders, 0)
    lines = item(order, CUSTOMER_ORDER_LINES)
    number = PyTuple_GET_SIZE(lines)
    if item(order, CUSTOMER_ORDER_VISITOR_ID) != item(event, EVENT_USER_ID) or number >= _MAX_LINES:
        return None
    if at_ms != <long long>item(order, CUSTOMER_ORDER_AT_MS):
        return None
    if PyTuple_GET_SIZE(orders) > 1 and <long long>item(item(orders, 1), CUSTOMER_ORDER_AT_MS) == at_ms:
        return None
    for i in range(number):
        if item(item(lines, i), CUSTOMER_ORDER_LINE_EVENT) == item(line, COUNTED_LINE_KEY):
            return customer
    order = _new_order(event, (*lines, _new_line(line, event)), item(order, CUSTOMER_ORDER_REFUNDED_MINOR))
    return _with_order(customer, (order, *orders[1:]), 0, event)


cdef object _new_order(object event, tuple lines, object refunded):
    order = new_tuple(_CustomerOrder, CUSTOMER_ORDER_FIELDS)
    set_item(order, CUSTOMER_ORDER_ORDER_ID, item(event, EVENT_ORDER_ID))
    set_item(order, CUSTOMER_ORDER_VISITOR_ID, item(event, EVENT_USER_ID))
    set_item(order, CUSTOMER_ORDER_AT_MS, item(event, EVENT_EVENT_TIME_MS))
    set_item(order, CUSTOMER_ORDER_LINES, lines)
    set_item(order, CUSTOMER_ORDER_REFUNDED_MINOR, refunded)
    return order


cdef object _new_line(object line, object event):
    bought = new_tuple(_CustomerOrderLine, CUSTOMER_ORDER_LINE_FIELDS)
    set_item(bought, CUSTOMER_ORDER_LINE_EVENT, item(line, COUNTED_LINE_KEY))
    set_item(bought, CUSTOMER_ORDER_LINE_PRODUCT_ID, item(event, EVENT_PRODUCT_ID))
    set_item(bought, CUSTOMER_ORDER_LINE_QUANTITY, item(event, EVENT_QUANTITY))
    set_item(bought, CUSTOMER_ORDER_LINE_PRICE_MINOR, item(event, EVENT_PRICE_MINOR))
    set_item(bought, CUSTOMER_ORDER_LINE_CURRENCY, item(event, EVENT_CURRENCY))
    return bought


cdef object _with_order(object customer, tuple orders, int more_orders, object event):
    """The record with these orders, and the money and units of one more purchase."""
    cdef long long at_ms = item(event, EVENT_EVENT_TIME_MS), n_orders = more_orders, units
    cdef long long first_ms, last_ms, amount, quantity = item(event, EVENT_QUANTITY)
    cdef dict revenue
    price, currency = item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY)
    if customer is None:
        customer = _Customer(at_ms, at_ms)
    first_ms = min(at_ms, <long long>item(customer, CUSTOMER_FIRST_MS))
    last_ms = max(at_ms, <long long>item(customer, CUSTOMER_LAST_MS))
    n_orders += <long long>item(customer, CUSTOMER_N_ORDERS)
    units = item(customer, CUSTOMER_UNITS)
    if item(event, EVENT_PRODUCT_ID):
        units = min(units + quantity, _MAX_SUM)
    revenue = dict(item(customer, CUSTOMER_REVENUE_MINOR))
    if price is not None and currency is not None:
        amount = min(<long long>price * quantity, _MAX_SUM)
        revenue[currency] = min(<long long>revenue.get(currency, 0) + amount, _MAX_SUM)
    after = new_tuple(_Customer, CUSTOMER_FIELDS)
    set_item(after, CUSTOMER_FIRST_MS, first_ms)
    set_item(after, CUSTOMER_LAST_MS, last_ms)
    set_item(after, CUSTOMER_DEVICES, item(customer, CUSTOMER_DEVICES))
    set_item(after, CUSTOMER_ORDERS, orders)
    set_item(after, CUSTOMER_N_ORDERS, n_orders)
    set_item(after, CUSTOMER_UNITS, units)
    set_item(after, CUSTOMER_REVENUE_MINOR, revenue)
    set_item(after, CUSTOMER_REFUNDED_MINOR, item(customer, CUSTOMER_REFUNDED_MINOR))
    set_item(after, CUSTOMER_SEEN, item(customer, CUSTOMER_SEEN))
    set_item(after, CUSTOMER_UNLINKED, item(customer, CUSTOMER_UNLINKED))
    set_item(after, CUSTOMER_REFUNDS, item(customer, CUSTOMER_REFUNDS))
    return after


def pack_record(customer):
    """See `contracts.customers.pack_customer`."""
    cdef Packer packer = _packer
    cdef Py_ssize_t i
    if PyTuple_GET_SIZE(item(customer, CUSTOMER_REFUNDS)):
        return pack_customer(customer)
    packer.size = 0  # of a call that was broken off
    packer.put_array(1 + CUSTOMER_REFUNDS)
    packer.put_int(_FORMAT)
    for i in range(CUSTOMER_REFUNDS):
        packer.put(item(customer, i))
    return packer.taken()


STEPS = {add_own: add_purchases, pack_customer: pack_record}
