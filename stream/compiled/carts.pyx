# cython: language_level=3, boundscheck=False, wraparound=False
"""Counts, money and carts, as `stream.visitors.session` and `stream.components.demand` keep them."""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from stream.compiled.layout cimport *
from stream.compiled.tuples cimport item, new_tuple, set_item

from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import MAX_CART_LINES, CartLine

cdef object _CartLine = CartLine
cdef long long _MAX_SUM = MAX_SUM_MINOR
cdef Py_ssize_t _MAX_LINES = MAX_CART_LINES


cdef int read_counts(object numbers, long long* counts) except -1:
    cdef Py_ssize_t i
    for i in range(RANKS):
        counts[i] = item(numbers, i)
    return 0


cdef tuple new_counts(long long* counts):
    return counts[0], counts[1], counts[2], counts[3], counts[4]


cdef int grow(dict fields, object name, long long change) except -1:
    """Add to a count, which stays within `MAX_SUM_MINOR`."""
    cdef PyObject* known = PyDict_GetItem(fields, name)
    if known != NULL:
        change = min(<long long>(<object>known) + change, _MAX_SUM)
    fields[name] = change
    return 0


cdef int add_revenue(dict revenue, object event) except -1:
    cdef long long price_minor, quantity
    price, currency = item(event, EVENT_PRICE), item(event, EVENT_CURRENCY)
    if price is not None and currency is not None:
        price_minor, quantity = price, item(event, EVENT_QUANTITY)
        grow(revenue, currency, min(price_minor * quantity, _MAX_SUM))
    return 0


cdef int add_line(dict cart, object product, object event) except -1:
    """See `stream.visitors.session`: a cart that is full loses the product that is in it longest."""
    known = cart.get(product)
    price, currency, quantity = item(event, EVENT_PRICE), item(event, EVENT_CURRENCY), item(event, EVENT_QUANTITY)
    if known is not None:
        if price is None:
            price, currency = item(known, 1), item(known, 2)
        quantity = item(known, 0) + quantity
    elif len(cart) >= _MAX_LINES:
        del cart[next(iter(cart))]
    line = new_tuple(_CartLine, 4)
    set_item(line, 0, quantity)
    set_item(line, 1, price)
    set_item(line, 2, currency)
    set_item(line, 3, item(event, EVENT_TIME))
    cart[product] = line
    return 0


cdef int lower_line(dict cart, object product, object quantity) except -1:
    line = cart.get(product)
    if line is not None:
        if item(line, 0) > quantity:
            cart[product] = line._replace(quantity=item(line, 0) - quantity)
        else:
            del cart[product]
    return 0
