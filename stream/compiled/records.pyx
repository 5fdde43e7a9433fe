# cython: language_level=3, boundscheck=False, wraparound=False
"""From Kafka records to entries, as `stream.batch.records.read_records` makes them.

msgspec reads objects whose fields have the types of the current schema version, and no others. What it read is an
event if it keeps the rules that are not about types. Any other record goes the way that defines the contract.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from stream.compiled.tuples cimport item, need, new_tuple, set_item

cdef extern from "murmur2.h":
    uint32_t kafka_murmur2(const char* text, size_t size) noexcept

include "records.pxi"  # positions in named tuples, see layout.py

from typing import Annotated, Literal

import msgspec
import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.event_versions import SCHEMA_VERSION
from contracts.events import GUEST, LOGGED_OUT, MAX_EVENT_BYTES, Event, EventType
from contracts.fields import EARLIEST_MS, MAX_AHEAD_MS, MAX_ID_CHARS, MAX_TEXT_CHARS
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY, parse_price_minor
from stream.batch.step import Entry
from stream.batch.records import read_records as read_any_records

_whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARS)] | _whole
_text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)]
_may_lack = msgspec.UnsetType | None
_SCHEMA = [
    ("event_id", _id),
    ("event_type", EventType),
    ("event_time", _whole),
    ("user_id", _id | _may_lack, msgspec.UNSET),
    ("product_id", _id),
    ("session_id", _id | _may_lack, msgspec.UNSET),
    ("price", str | int | float | _may_lack, msgspec.UNSET),
    ("currency", Literal[tuple(MINOR_DIGITS)] | _may_lack, msgspec.UNSET),
    ("quantity", Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)] | _may_lack, msgspec.UNSET),
    ("category", _text | _may_lack, msgspec.UNSET),
    ("brand", _text | _may_lack, msgspec.UNSET),
    ("order_id", _id | _may_lack, msgspec.UNSET),
    ("schema", Literal[SCHEMA_VERSION] | msgspec.UnsetType, msgspec.UNSET),
    ("anonymous_id", _id | _may_lack, msgspec.UNSET),
]
"""Fields of the JSON object: those of `Event` in their order, with the version and the anonymous id in place
of `extra` and the customer."""
_NAMES = frozenset([field[0] for field in _SCHEMA])
_Fields = msgspec.defstruct("_Fields", _SCHEMA, gc=False, kw_only=True)

need(
    EVENT_EVENT_ID == 0 and EVENT_EVENT_TYPE == 1 and EVENT_EVENT_TIME_MS == 2 and EVENT_USER_ID == 3
    and EVENT_PRODUCT_ID == 4 and EVENT_SESSION_ID == 5 and EVENT_PRICE_MINOR == 6 and EVENT_CURRENCY == 7
    and EVENT_QUANTITY == 8 and EVENT_CATEGORY == 9 and EVENT_BRAND == 10 and EVENT_ORDER_ID == 11
    and EVENT_EXTRA == 12 and EVENT_CUSTOMER_ID == 13 and EVENT_FIELDS == 14 and ENTRY_FIELDS == 5
)

cdef object _Event = Event, _Entry = Entry, _UNSET = msgspec.UNSET, _ONE = 1
cdef object _decode = msgspec.json.Decoder(_Fields).decode, _items_of = msgspec.structs.astuple
cdef object _loads = orjson.loads, _parse_price_minor = parse_price_minor
cdef str _GUEST = GUEST, _LOGGED_OUT = LOGGED_OUT
cdef dict _DIGITS = MINOR_DIGITS
cdef Py_ssize_t _MAX_BYTES = MAX_EVENT_BYTES
cdef long long _EARLIEST_MS = EARLIEST_MS, _AHEAD_MS = MAX_AHEAD_MS, _MAX_MAJOR = MAX_MAJOR


def read_records(
    records, *, str topic, unsigned int partition, unsigned int partitions, str default_currency, now_ms
):
    """See `stream.batch.records.read_records`."""
    cdef list entries = []
    cdef long long at_broker_ms
    for record in records:
        timestamp = record.timestamp
        if timestamp < 0:
            timestamp = now_ms
        at_broker_ms = timestamp
        key = record.key
        event = _read(record.value, key, at_broker_ms, default_currency)
        if event is None or _partition_of(<bytes>key, partitions) != partition:
            entries += read_any_records(
                (record,), topic=topic, partition=partition, partitions=partitions,
                default_currency=default_currency, now_ms=now_ms,
            )
            continue
        entry = new_tuple(_Entry, ENTRY_FIELDS)
        set_item(entry, ENTRY_OFFSET, record.offset)
        set_item(entry, ENTRY_AT_MS, item(event, EVENT_EVENT_TIME_MS))
        set_item(entry, ENTRY_BROKER_MS, timestamp)
        set_item(entry, ENTRY_EVENT, event)
        set_item(entry, ENTRY_LETTER, None)
        entries.append(entry)
    return entries


cdef unsigned int _partition_of(bytes key, unsigned int partitions) noexcept:
    """See `contracts.partitioning.partition_of`."""
    return (kafka_murmur2(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)) & 0x7fffffff) % partitions


cdef object _read(object raw, object key, long long received_ms, str default_currency):
    """The event in `raw`, or None for whatever is not plainly valid."""
    if not PyBytes_CheckExact(raw) or not PyBytes_CheckExact(key) or PyBytes_GET_SIZE(raw) > _MAX_BYTES:
        return None
    try:
        event = _event_of(_items_of(_decode(raw)), raw, received_ms, default_currency)
    except Exception:  # whatever it is, the definition gives it a name
        return None
    return event if event is not None and _is_text(item(event, EVENT_USER_ID), key) else None


cdef object _event_of(object fields, bytes raw, long long received_ms, str default_currency):
    cdef long long time_ms = item(fields, EVENT_EVENT_TIME_MS)
    cdef Py_ssize_t place, quotes = 0
    if not _EARLIEST_MS <= time_ms <= received_ms + _AHEAD_MS:
        return None
    visitor, customer, user = item(fields, EVENT_CUSTOMER_ID), None, item(fields, EVENT_USER_ID)
    if visitor is not _UNSET:
        quotes += 4 if isinstance(visitor, str) else 2
    if visitor is _UNSET or visitor is None:
        visitor = user
    else:
        customer = _customer_of(user)
        if customer is None:
            return None
    if visitor is None or visitor is _UNSET:
        return None
    event = new_tuple(_Event, EVENT_FIELDS)
    currency = item(fields, EVENT_CURRENCY)
    for place in range(EVENT_EXTRA):
        value = item(fields, place)
        if value is _UNSET:
            value = None
        else:
            quotes += 4 if isinstance(value, str) else 2
        if place == EVENT_QUANTITY:
            if value is None:
                value = _ONE
        elif place == EVENT_USER_ID:
            value = _plain(visitor)
            if not value:
                return None
            if customer is not None and <str>customer == <str>value:
                customer = None
        elif place == EVENT_PRICE_MINOR:
            if value is not None:
                if currency is None or currency is _UNSET:
                    currency = default_currency
                value = _price_minor(value, _DIGITS[currency])
        elif place == EVENT_CURRENCY:
            value = None if currency is _UNSET else currency
        elif value is not None and place != EVENT_EVENT_TIME_MS and place != EVENT_EVENT_TYPE:
            value = _plain(value)
            if value is None:
                return None
            if not <str>value:
                value = None
            elif place == EVENT_ORDER_ID and (<str>value).strip() != <str>value:
                return None
        set_item(event, place, value)
    if item(fields, EVENT_EXTRA) is not _UNSET:  # the version
        quotes += 2
    extra = None
    if quotes != _quotes_in(raw):
        extra = _others_in(raw)
        if extra is None:
            return None
    set_item(event, EVENT_EXTRA, extra or None)
    set_item(event, EVENT_CUSTOMER_ID, customer)
    return event


cdef object _customer_of(object user):
    """Who is logged in on a device; None for what is not plainly valid."""
    if user is _UNSET:
        return _GUEST
    if user is None:
        return _LOGGED_OUT
    return _plain(user) or None


cdef Py_ssize_t _quotes_in(bytes raw) noexcept:
    """As many as the names and strings of the fields need, or there is more in the object than these."""
    cdef const char* data = PyBytes_AS_STRING(raw)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(raw), i, quotes = 0
    for i in range(size):
        quotes += data[i] == c'"'
    return quotes


cdef dict _others_in(bytes raw):
    """The fields that the contract does not know, or None if they are not plain values under plain names."""
    cdef dict others = {}
    for name, value in _loads(raw).items():
        if name not in _NAMES:
            if name == "user_session" or type(value) is dict or type(value) is list:
                return None
            others[name] = value
    return others


cdef object _plain(object value):
    """A printable string that is not blank, a number as one, or an empty string; None for others."""
    cdef Py_ssize_t size, i
    cdef const char* data
    cdef int others = 0
    if type(value) is int:
        return str(value)
    data = PyUnicode_AsUTF8AndSize(value, &size)
    for i in range(size):
        others |= (data[i] < 0x21) | (data[i] > 0x7e)
    if others and (not (<str>value).isprintable() or (<str>value).isspace()):
        return None
    return value


cdef bint _is_text(str text, bytes encoded) except -1:
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(text, &size)
    return size == PyBytes_GET_SIZE(encoded) and memcmp(data, PyBytes_AS_STRING(encoded), size) == 0


cdef object _price_minor(object price, int minor_digits):
    """See `contracts.numbers.parse_price_minor`; a string with all digits of its currency is read here."""
    cdef long long minor = 0, scale = 1
    cdef Py_ssize_t size, i
    cdef const char* data
    if type(price) is str:
        data = PyUnicode_AsUTF8AndSize(price, &size)
        if minor_digits and minor_digits + 1 < size <= 15 and data[size - minor_digits - 1] == c'.':
            for i in range(size):
                if c'0' <= data[i] <= c'9':
                    minor = 10 * minor + (data[i] - c'0')
                elif i != size - minor_digits - 1:
                    return _parse_price_minor(price, minor_digits)
            for i in range(minor_digits):
                scale *= 10
            if minor <= _MAX_MAJOR * scale:
                return minor
    return _parse_price_minor(price, minor_digits)
