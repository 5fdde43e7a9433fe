# cython: language_level=3, boundscheck=False, wraparound=False
"""Counts, money and carts, as `stream.visitors.session`, `contracts.carts` and `stream.batch.counts` keep them."""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "carts.pxi"  # positions in named tuples, see layout.py

from contracts.numbers import MAX_SUM_MINOR
from contracts.carts import MAX_CART_LINES
from contracts.visitor import CartLine

need(CART_LINE_FIELDS == 4 and RANKS == 5)

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
    price, currency = item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY)
    if price is not None and currency is not None:
        price_minor, quantity = price, item(event, EVENT_QUANTITY)
        grow(revenue, currency, min(price_minor * quantity, _MAX_SUM))
    return 0


cdef int add_line(dict cart, object product, object event) except -1:
    """An add, as `contracts.carts.change_cart` has it."""
    known = cart.get(product)
    price, currency = item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY)
    quantity = item(event, EVENT_QUANTITY)
    if known is not None:
        if price is None:
            price, currency = item(known, CART_LINE_PRICE_MINOR), item(known, CART_LINE_CURRENCY)
        quantity = item(known, CART_LINE_QUANTITY) + quantity
    elif len(cart) >= _MAX_LINES:
        del cart[next(iter(cart))]
    line = new_tuple(_CartLine, CART_LINE_FIELDS)
    set_item(line, CART_LINE_QUANTITY, quantity)
    set_item(line, CART_LINE_PRICE_MINOR, price)
    set_item(line, CART_LINE_CURRENCY, currency)
    set_item(line, CART_LINE_ADDED_MS, item(event, EVENT_EVENT_TIME_MS))
    cart[product] = line
    return 0


cdef int lower_line(dict cart, object product, object quantity) except -1:
    """A remove, as `contracts.carts.change_cart` has it."""
    line = cart.get(product)
    if line is not None:
        if item(line, CART_LINE_QUANTITY) > quantity:
            cart[product] = line._replace(quantity=item(line, CART_LINE_QUANTITY) - quantity)
        else:
            del cart[product]
    return 0
