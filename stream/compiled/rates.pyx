# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""How the items that live visitors looked at last convert, as `stream.scoring.item_pool` has it."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.math cimport log
from libc.stdint cimport int64_t, uint8_t

from stream.compiled.packed cimport Name, is_same, read_int, read_name
from stream.compiled.tuples cimport item, need

include "rates.pxi"  # positions in named tuples, see layout.py

import numpy as np

from models.next_action.rates import RATE_FEATURES, SHOP, STAGES, category_name, product_name, rates_of_visitor
from stream.scoring.item_pool import rates_of_visitors

need(
    ACTION_AT_MS == 0 and ACTION_RANK == 1 and ACTION_DIGEST == 2 and ACTION_PRODUCT_ID == 3 and ACTION_QUANTITY == 4
    and ACTION_PRICE_MINOR == 5 and ACTION_CURRENCY == 6 and ACTION_CATEGORY == 7 and ACTION_BRAND == 8
    and ACTION_SESSION_ID == 9 and ACTION_FIELDS == 10
)  # read in this order
need(ITEM_COUNTS_VIEWS == 0 and ITEM_COUNTS_CARTS == 1 and ITEM_COUNTS_PURCHASES == 2)
need(FUNNEL_VIEWS == 0 and FUNNEL_CARTS == 1 and FUNNEL_PURCHASES == 2 and FUNNEL_FIELDS == 3)
need(PARTITION_ITEMS_FIELDS == 3 and POOLED_ITEMS_FIELDS == 2 and RANKS == 5)
need(product_name("x") == "px" and category_name("x") == "cx")

cdef enum:
    N_STAGES = 3
    MOST_ACTIONS = 256

need(len(STAGES) == N_STAGES and len(RATE_FEATURES) == 2 * N_STAGES)

cdef extern from "Python.h":
    PyObject* PyDict_GetItem(object p, object key)
    int PySet_Contains(object anyset, object key) except -1
    str PyUnicode_DecodeUTF8(const char* text, Py_ssize_t size, const char* errors)

cdef str _SHOP = SHOP, _PRODUCT = "p", _CATEGORY = "c"
cdef int[N_STAGES] _TRIED
cdef int[N_STAGES] _DONE
cdef double[N_STAGES] _WEIGHT
cdef double[N_STAGES] _PRIOR
for _stage in range(N_STAGES):
    _TRIED[_stage], _DONE[_stage], _WEIGHT[_stage], _PRIOR[_stage] = STAGES[_stage]


cdef struct Act:
    int64_t rank
    Name product
    Name category


cdef struct Count:
    # See `models.next_action.rates.Funnel`.
    int64_t[FUNNEL_FIELDS] of


def rates_of_all(visitors, pooled):
    """See `stream.scoring.item_pool.rates_of_visitors`."""
    cdef Py_ssize_t n = len(visitors), i
    cdef Py_buffer held
    cdef Count shop
    if n != len(pooled):
        raise ValueError(f"{n} visitors, and counts of {len(pooled)}")
    cdef dict shops = {}
    rates = np.zeros((n, 2 * N_STAGES), np.float32)
    PyObject_GetBuffer(rates, &held, PyBUF_WRITABLE)
    try:
        for i in range(n):
            visitor, counts = visitors[i], pooled[i]
            known = shops.get(id(counts))
            if known is None:
                shop = look_up(counts, _SHOP)
                shops[id(counts)] = shop.of[0], shop.of[1], shop.of[2]
            else:
                shop = nothing()
                join(&shop, known)
            if not put_rates(visitor, counts, shop, <float*>held.buf + i * 2 * N_STAGES):
                rates[i] = rates_of_visitor(visitor, counts.funnel)
    finally:
        PyBuffer_Release(&held)
    return rates


cdef bint put_rates(object visitor, object counts, Count shop, float* row) except -1:
    """Fill in the rates at a visitor's last action; False if the definition must be asked."""
    cdef Act[MOST_ACTIONS] acts
    cdef Act* last
    cdef Count product, category, own, own_of_product, own_of_category
    cdef int size = read_actions(item(visitor, VISITOR_TAIL), acts), i
    if size < 1:
        return False
    last = &acts[size - 1]
    if last.product.text == NULL:
        return False
    own_of_product, own_of_category = nothing(), nothing()
    for i in range(size):
        if is_same(&acts[i].product, &last.product):
            add(&own_of_product, acts[i].rank)
        if last.category.text != NULL and is_same(&acts[i].category, &last.category):
            add(&own_of_category, acts[i].rank)
    done = item(item(visitor, VISITOR_TOTALS), TOTALS_COUNTS)
    own.of[FUNNEL_VIEWS] = <int64_t>item(done, RANK_VIEW) + <int64_t>item(done, RANK_FAVORITE)
    own.of[FUNNEL_CARTS] = item(done, RANK_CART)
    own.of[FUNNEL_PURCHASES] = item(done, RANK_PURCHASE)
    take_out(&shop, &own)
    product, category = nothing(), nothing()
    if last.product.size:
        product = look_up(counts, _PRODUCT + text_of(&last.product))
        take_out(&product, &own_of_product)
    if last.category.size:
        category = look_up(counts, _CATEGORY + text_of(&last.category))
        take_out(&category, &own_of_category)
    compare(&product, &shop, row)
    compare(&category, &shop, row + N_STAGES)
    return True


cdef int read_actions(object tail, Act* acts) except -2:
    """How many actions a tail holds; -1 for more than any, or packed as this version does not pack them."""
    cdef bytes packed = item(tail, TAIL_PACKED)
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(packed)
    cdef const uint8_t* end = at + PyBytes_GET_SIZE(packed)
    cdef int64_t number
    cdef Name other
    cdef int i, size
    if not 0 < item(tail, TAIL_SIZE) <= MOST_ACTIONS:
        return -1
    size = item(tail, TAIL_SIZE)
    for i in range(size):
        if at >= end or at[0] != 0x90 | ACTION_FIELDS:
            return -1
        at = read_int(at + 1, end, &number)  # the time
        at = read_int(at, end, &acts[i].rank)
        at = read_name(at, end, &other)  # the digest
        at = read_name(at, end, &acts[i].product)
        at = read_int(at, end, &number)  # the quantity
        if at == NULL or at >= end:
            return -1
        at = at + 1 if at[0] == 0xc0 else read_int(at, end, &number)  # the price
        at = read_name(at, end, &other)  # the currency
        at = read_name(at, end, &acts[i].category)
        at = read_name(at, end, &other)  # the brand
        at = read_name(at, end, &other)  # the session
        if at == NULL or not 0 <= acts[i].rank < RANKS:
            return -1
    return size if at == end else -1


cdef inline str text_of(Name* name):
    return PyUnicode_DecodeUTF8(name.text, name.size, NULL)


cdef inline Count nothing() noexcept:
    cdef Count count
    count.of[0] = count.of[1] = count.of[2] = 0
    return count


cdef inline void add(Count* count, int64_t rank) noexcept:
    """See `Funnel.after`."""
    if rank == RANK_CART:
        count.of[FUNNEL_CARTS] += 1
    elif rank == RANK_PURCHASE:
        count.of[FUNNEL_PURCHASES] += 1
    elif rank != RANK_REMOVE_FROM_CART:
        count.of[FUNNEL_VIEWS] += 1


cdef inline void take_out(Count* count, Count* own) noexcept:
    """See `Funnel.without`."""
    cdef int i
    for i in range(FUNNEL_FIELDS):
        count.of[i] = max(0, count.of[i] - own.of[i])


cdef Count look_up(object counts, str name) except *:
    """See `PooledItems.funnel`."""
    cdef Count count = nothing()
    cdef PyObject* held = PyDict_GetItem(item(counts, POOLED_ITEMS_THEIRS), name)
    if held != NULL:
        join(&count, <object>held)
    for part in <tuple>item(counts, POOLED_ITEMS_OURS):
        held = PyDict_GetItem(item(part, PARTITION_ITEMS_NEWER), name)
        if held == NULL:
            held = PyDict_GetItem(item(part, PARTITION_ITEMS_KNOWN), name)
        if held != NULL and not PySet_Contains(item(part, PARTITION_ITEMS_DROPPED), name):
            join(&count, <object>held)
    return count


cdef inline int join(Count* count, object held) except -1:
    cdef int i
    for i in range(FUNNEL_FIELDS):
        count.of[i] += <int64_t>item(held, i)
    return 0


cdef inline void compare(Count* of_item, Count* of_shop, float* row) noexcept:
    """See `relative_rates`."""
    cdef double rate
    cdef int i, tried, done
    for i in range(N_STAGES):
        tried, done = _TRIED[i], _DONE[i]
        rate = (<double>of_shop.of[done] + 1.0) / (<double>of_shop.of[tried] + 1.0 / _PRIOR[i])
        row[i] = <float>log((<double>of_item.of[done] / rate + _WEIGHT[i]) / (<double>of_item.of[tried] + _WEIGHT[i]))


STEPS = {rates_of_visitors: rates_of_all}
