# cython: language_level=3, boundscheck=False, wraparound=False
"""What is reported to owners of orders, and what they keep of it, as `stream.components.orders` has it."""

from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint32_t

from stream.compiled.new_events cimport BLAKE2B_DIGEST_BYTES
from stream.compiled.orders cimport hex_of, put_joined
from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, need, new_tuple, set_item

cdef extern from "murmur2.h":
    uint32_t kafka_murmur2(const char* text, size_t size) noexcept

include "reports.pxi"  # positions in named tuples, see layout.py

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.order_reports import MAX_REPORTS_IN_RECORD, LineReport, OrderReport, decode_reports
from contracts.shapes import LATEST_MS
from stream.components.orders.component import record_of, records_of
from stream.components.orders.orders import pack_order

need(
    LINE_REPORT_EVENT == 0 and LINE_REPORT_AT_MS == 1 and LINE_REPORT_PRODUCT_ID == 2 and LINE_REPORT_QUANTITY == 3
    and LINE_REPORT_PRICE_MINOR == 4 and LINE_REPORT_CURRENCY == 5 and LINE_REPORT_LINE == 6
    and LINE_REPORT_VISITOR == 7 and LINE_REPORT_ORDERS == 8 and LINE_REPORT_FIELDS == 9
    and ORDER_REPORT_KEY == 0 and ORDER_REPORT_CONTENT == 1 and ORDER_REPORT_FIELDS == 2
)

cdef object _LineReport = LineReport, _OrderReport = OrderReport
cdef object _dumps = orjson.dumps, _loads = orjson.loads
cdef dict _CURRENCIES = MINOR_DIGITS
cdef Py_ssize_t _MAX_IN_RECORD = MAX_REPORTS_IN_RECORD
cdef long long _LATEST_MS = LATEST_MS
cdef Packer _packer = Packer()

cdef enum:
    HEX_DIGITS = 2 * BLAKE2B_DIGEST_BYTES
    JSON_FIELDS = LINE_REPORT_FIELDS + 1  # with the key


def records_of_lines(counts, unsigned int partitions):
    """See `stream.components.orders.component.records_of`."""
    cdef dict by_owner = {}
    cdef list records = [], reports
    cdef uint8_t[BLAKE2B_DIGEST_BYTES] visitor
    cdef Py_ssize_t size, at
    cdef const char* text
    if counts.refunds:
        return records_of(counts, partitions)
    for line in counts.purchases:
        event = item(line, COUNTED_LINE_EVENT)
        order_id = item(event, EVENT_ORDER_ID)
        if order_id is None:
            continue
        put_joined(order_id, item(event, EVENT_USER_ID), None, visitor)
        text = PyUnicode_AsUTF8AndSize(order_id, &size)
        owner = (kafka_murmur2(text, size) & 0x7fffffff) % partitions
        reports = by_owner.get(owner)
        if reports is None:
            reports = by_owner[owner] = []
        reports.append((
            order_id, item(line, COUNTED_LINE_KEY), item(event, EVENT_EVENT_TIME_MS), item(event, EVENT_PRODUCT_ID),
            item(event, EVENT_QUANTITY), item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY),
            (<bytes>item(line, COUNTED_LINE_LINE)).hex(), hex_of(visitor), item(line, COUNTED_LINE_CHANGES),
        ))
    for owner, reports in by_owner.items():
        for at in range(0, len(reports), _MAX_IN_RECORD):
            part = reports if len(reports) <= _MAX_IN_RECORD else reports[at : at + _MAX_IN_RECORD]
            records.append(record_of(owner, partitions, _dumps(part)))
    return records


def decode_lines(raw):
    """See `contracts.order_reports.decode_reports`."""
    cdef list found = []
    try:
        reports = _loads(raw)
    except Exception:  # the definition gives it a name
        return decode_reports(raw)
    if type(reports) is not list:
        return decode_reports(raw)
    for fields in <list>reports:
        report = _report(fields) if type(fields) is list else None
        if report is None:
            return decode_reports(raw)
        found.append(report)
    return found


cdef object _report(list fields):
    """The report of a line; None for whatever is not plainly one."""
    if PyList_GET_SIZE(fields) != JSON_FIELDS:
        return None
    key, event, time_ms, product_id, quantity, price_minor, currency, line, visitor, orders = fields
    if type(key) is not str or type(product_id) is not str or type(quantity) is not int or type(time_ms) is not int:
        return None
    if price_minor is not None and type(price_minor) is not int:
        return None
    if currency is not None and (type(currency) is not str or currency not in _CURRENCIES):
        return None
    if not (_is_digest(event) and _is_digest(line) and _is_digest(visitor)) or type(orders) is not list:
        return None
    if not _is_time(time_ms):
        return None
    changes = []
    for change in <list>orders:
        if type(change) is not list or PyList_GET_SIZE(change) != 2:
            return None
        minute_ms, number = change
        if type(minute_ms) is not int or type(number) is not int or not _is_time(minute_ms):
            return None
        changes.append((minute_ms, number))
    content = new_tuple(_LineReport, LINE_REPORT_FIELDS)
    set_item(content, LINE_REPORT_EVENT, event)
    set_item(content, LINE_REPORT_AT_MS, time_ms)
    set_item(content, LINE_REPORT_PRODUCT_ID, product_id)
    set_item(content, LINE_REPORT_QUANTITY, quantity)
    set_item(content, LINE_REPORT_PRICE_MINOR, price_minor)
    set_item(content, LINE_REPORT_CURRENCY, currency)
    set_item(content, LINE_REPORT_LINE, line)
    set_item(content, LINE_REPORT_VISITOR, visitor)
    set_item(content, LINE_REPORT_ORDERS, tuple(changes))
    report = new_tuple(_OrderReport, ORDER_REPORT_FIELDS)
    set_item(report, ORDER_REPORT_KEY, key)
    set_item(report, ORDER_REPORT_CONTENT, content)
    return report


def pack_lines(order):
    """See `stream.components.orders.orders.pack_order`."""
    cdef Packer packer = _packer
    lines = order.lines
    if order.refunds or type(lines) is not tuple:
        return pack_order(order)
    packer.size = 0  # of a call that was broken off
    packer.put_array(2)
    packer.put_array(len(<tuple>lines))
    for line in <tuple>lines:
        packer.put_array(LINE_REPORT_FIELDS)
        for place in range(LINE_REPORT_FIELDS):
            value = item(line, place)
            if place != LINE_REPORT_EVENT and place != LINE_REPORT_LINE and place != LINE_REPORT_VISITOR:
                packer.put(value)
            elif not _put_digest(packer, value):
                return pack_order(order)
    packer.put_array(0)
    return packer.taken()


cdef bint _is_time(object time_ms) except -1:
    cdef int is_beyond = 0
    cdef long long at_ms = PyLong_AsLongLongAndOverflow(time_ms, &is_beyond)
    return not is_beyond and -_LATEST_MS <= at_ms <= _LATEST_MS


cdef bint _is_digest(object value) except -1:
    """Whether a value is the hexadecimal digits of a digest."""
    cdef Py_ssize_t size, i
    cdef const char* text
    if type(value) is not str:
        return False
    text = PyUnicode_AsUTF8AndSize(value, &size)
    if size != HEX_DIGITS:
        return False
    for i in range(size):
        if not (c"0" <= text[i] <= c"9" or c"a" <= text[i] <= c"f"):
            return False
    return True


cdef bint _put_digest(Packer packer, object value) except -1:
    """Put the digest of these digits; False if they are none, or not those of one."""
    cdef uint8_t[BLAKE2B_DIGEST_BYTES] digest
    cdef Py_ssize_t size, i
    cdef const char* text
    if not _is_digest(value):
        return False
    text = PyUnicode_AsUTF8AndSize(value, &size)
    for i in range(BLAKE2B_DIGEST_BYTES):
        digest[i] = _digit(text[2 * i]) << 4 | _digit(text[2 * i + 1])
    packer.put_bytes(<char*>digest, BLAKE2B_DIGEST_BYTES)
    return True


cdef inline int _digit(char digit) noexcept:
    return digit - c"0" if digit <= c"9" else digit - c"a" + 10


STEPS = {records_of: records_of_lines, decode_reports: decode_lines, pack_order: pack_lines}
