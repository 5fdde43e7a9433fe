# cython: language_level=3, boundscheck=False, wraparound=False
"""What a batch makes of the counts of items, as `stream.components.items` has it."""

from cpython.object cimport PyObject

from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "items.pxi"  # positions in named tuples, see layout.py

from models.next_action.item_counts import ItemCounts
from models.next_action.rates import SHOP, category_name, product_name
from stream.components.items import LARGEST, STAGES, count_up

need(
    ITEM_COUNTS_VIEWS == 0 and ITEM_COUNTS_CARTS == 1 and ITEM_COUNTS_PURCHASES == 2 and ITEM_COUNTS_DAY == 3
    and ITEM_COUNTS_FIELDS == 4
)
need(product_name("x") == "px" and category_name("x") == "cx")

cdef extern from "Python.h":
    PyObject* PyDict_GetItem(object p, object key)
    str PyUnicode_FromFormat(const char* format, ...)

cdef object _ItemCounts = ItemCounts
cdef str _SHOP = SHOP, _PRODUCT = "p", _CATEGORY = "c"
cdef tuple _STAGES = STAGES
cdef long long _LARGEST = LARGEST


def count_batch(dict known, counts, long long day):
    """See `stream.components.items.count_up`."""
    cdef dict grown = {}, texts = {}
    cdef long long[3] shop
    cdef Py_ssize_t stage
    cdef tuple categories = counts.categories
    shop[0] = shop[1] = shop[2] = 0
    days = day
    for by_rank in (<dict>counts.minutes).values():
        for each in _STAGES:
            stage = item(each, 1)
            for product_id, number in (<dict>item(by_rank, item(each, 0))).items():
                shop[stage] += <long long>number
                if <str>product_id:
                    grow(grown, texts, known, _PRODUCT + <str>product_id, stage, number, days)
    for each in _STAGES:
        for category, number in (<dict>item(categories, item(each, 0))).items():
            grow(grown, texts, known, _CATEGORY + <str>category, item(each, 1), number, days)
    for stage in range(3):
        if shop[stage]:
            grow(grown, texts, known, _SHOP, stage, shop[stage], days)
    return grown, texts


cdef int grow(
    dict grown, dict texts, dict known, str name, Py_ssize_t stage, long long number, object day
) except -1:
    """Add to the counts of an item."""
    cdef long long[3] numbers
    cdef Py_ssize_t i
    cdef PyObject* held = PyDict_GetItem(grown, name)
    if held == NULL:
        held = PyDict_GetItem(known, name)
    for i in range(3):
        numbers[i] = 0 if held == NULL else <long long>item(<object>held, i)
    numbers[stage] += number
    while numbers[0] + numbers[1] + numbers[2] > _LARGEST:
        for i in range(3):
            numbers[i] >>= 1
    after = new_tuple(_ItemCounts, ITEM_COUNTS_FIELDS)
    for i in range(3):
        set_item(after, i, numbers[i])
    set_item(after, ITEM_COUNTS_DAY, day)
    grown[name] = after
    texts[name] = PyUnicode_FromFormat(
        "%lld %lld %lld %lld", numbers[0], numbers[1], numbers[2], <long long>day
    )
    return 0


STEPS = {count_up: count_batch}
