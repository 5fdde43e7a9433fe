# cython: language_level=3, boundscheck=False, wraparound=False
"""Orders of a visitor, as `stream.visitors.orders` knows them; see there for the meaning of everything."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from stream.compiled.carts cimport grow
from stream.compiled.new_events cimport BLAKE2B_BLOCK_BYTES, BLAKE2B_DIGEST_BYTES, blake2b_8, put_digest
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "orders.pxi"  # positions in named tuples, see layout.py

from contracts.buckets import GRAIN_MS
from contracts.numbers import MAX_SUM_MINOR
from contracts.order_lines import SECOND_PART, line_of
from contracts.visitor import digest_of
from stream.batch.entries import CountedLine
from stream.visitors.orders import MAX_KNOWN, take_line as take_any_line

need(
    COUNTED_LINE_EVENT == 0 and COUNTED_LINE_CHANGES == 1 and COUNTED_LINE_KEY == 2 and COUNTED_LINE_LINE == 3
    and COUNTED_LINE_FIELDS == 4
)

cdef object _CountedLine = CountedLine
cdef long long _MINUTE_MS = GRAIN_MS["minute"], _MAX_SUM = MAX_SUM_MINOR
cdef Py_ssize_t _MAX_KNOWN = MAX_KNOWN
cdef str _SECOND_PART = SECOND_PART, _FIRST_LINE = "1", _NO_PRODUCT = "", _PAID = "+"
cdef const char* _DIGITS = "0123456789abcdef"


cdef object take_line(dict orders, object event):
    """See `stream.visitors.orders.take_line`."""
    cdef uint8_t[BLAKE2B_DIGEST_BYTES] digest
    cdef long long at_ms, price_minor, quantity
    cdef PyObject* known_ms
    cdef str line
    cdef bytes order, known, fact
    order_id, product = item(event, EVENT_ORDER_ID), item(event, EVENT_PRODUCT_ID)
    line = line_of(event) if item(event, EVENT_EXTRA) else _FIRST_LINE
    if order_id is None or not product or line.endswith(_SECOND_PART):
        return take_any_line(orders, event)
    put_digest(order_id, digest)
    order = PyBytes_FromStringAndSize(<char*>digest, BLAKE2B_DIGEST_BYTES)
    put_joined(order_id, product, line, digest)
    known = PyBytes_FromStringAndSize(<char*>digest, BLAKE2B_DIGEST_BYTES)
    known_ms = PyDict_GetItem(orders, order)
    if known_ms != NULL or len(orders) >= _MAX_KNOWN:
        if known in orders:
            return None
        put_joined(order_id, _NO_PRODUCT, _FIRST_LINE, digest)
        if PyBytes_FromStringAndSize(<char*>digest, BLAKE2B_DIGEST_BYTES) in orders:
            return None
    event_time_ms = item(event, EVENT_EVENT_TIME_MS)
    at_ms = event_time_ms
    changes = ()
    if known_ms == NULL or <long long>(<object>known_ms) > at_ms:
        changes = ((at_ms - at_ms % _MINUTE_MS, 1),)
        if known_ms != NULL:
            changes = ((_minute_of(<object>known_ms), -1), *changes)
        orders[order] = event_time_ms
    orders[known] = event_time_ms
    price, currency = item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY)
    if price is not None and currency is not None:
        put_joined(order_id, _PAID + <str>currency, None, digest)
        fact = PyBytes_FromStringAndSize(<char*>digest, BLAKE2B_DIGEST_BYTES)
        price_minor, quantity = price, item(event, EVENT_QUANTITY)
        grow(orders, fact, min(price_minor * quantity, _MAX_SUM))
    while len(orders) > _MAX_KNOWN:
        del orders[next(iter(orders))]
    put_joined(item(event, EVENT_USER_ID), item(event, EVENT_EVENT_ID), None, digest)
    counted = new_tuple(_CountedLine, COUNTED_LINE_FIELDS)
    set_item(counted, COUNTED_LINE_EVENT, event)
    set_item(counted, COUNTED_LINE_CHANGES, changes)
    set_item(counted, COUNTED_LINE_KEY, hex_of(digest))
    set_item(counted, COUNTED_LINE_LINE, known)
    return counted


cdef int put_joined(str one, str two, str three, uint8_t* digest) except -1:
    """The digest of two or three texts with a line break between them, see `contracts.visitor.digest_of`."""
    cdef char[BLAKE2B_BLOCK_BYTES] text
    cdef Py_ssize_t sizes[3]
    cdef const char* parts[3]
    cdef Py_ssize_t size, i, number = 2 if three is None else 3
    cdef bytes made
    parts[0] = PyUnicode_AsUTF8AndSize(one, &sizes[0])
    parts[1] = PyUnicode_AsUTF8AndSize(two, &sizes[1])
    size = sizes[0] + sizes[1] + 1
    if three is not None:
        parts[2] = PyUnicode_AsUTF8AndSize(three, &sizes[2])
        size += sizes[2] + 1
    if size > BLAKE2B_BLOCK_BYTES:
        made = digest_of("\n".join((one, two) if three is None else (one, two, three)))
        memcpy(digest, PyBytes_AS_STRING(made), BLAKE2B_DIGEST_BYTES)
        return 0
    size = 0
    for i in range(number):
        if i:
            text[size] = c"\n"
            size += 1
        memcpy(&text[size], parts[i], sizes[i])
        size += sizes[i]
    blake2b_8(text, size, digest)
    return 0


cdef str hex_of(uint8_t* digest):
    """The hexadecimal digits of a digest."""
    cdef char[2 * BLAKE2B_DIGEST_BYTES] digits
    cdef Py_ssize_t i
    for i in range(BLAKE2B_DIGEST_BYTES):
        digits[2 * i], digits[2 * i + 1] = _DIGITS[digest[i] >> 4], _DIGITS[digest[i] & 15]
    return PyUnicode_DecodeASCII(digits, 2 * BLAKE2B_DIGEST_BYTES, NULL)


cdef object _minute_of(long long at_ms):
    return at_ms - at_ms % _MINUTE_MS
