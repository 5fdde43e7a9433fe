# cython: language_level=3, boundscheck=False, wraparound=False
"""From Kafka records to entries, as `stream.batch.records.read_records` makes them.

Only what is surely valid as it stands is read here: an object of the current schema version without escapes,
nested values or exponents, keyed by its visitor. Any other record goes the way that defines the contract.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport rint
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "records.pxi"  # positions in named tuples, see layout.py

from contracts.currencies import MINOR_DIGITS
from contracts.events import MAX_EVENT_BYTES, SCHEMA_VERSION, Event, EventType
from contracts.fields import EARLIEST_MS, MAX_AHEAD_MS, MAX_ID_CHARS, MAX_TEXT_CHARS
from contracts.numbers import MAX_MAJOR, MAX_QUANTITY
from stream.batch.step import Entry
from stream.batch.records import read_records as read_any_records

cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t, Py_UCS4)
    str PyUnicode_DecodeUTF8(const char*, Py_ssize_t, const char*)
    void* PyUnicode_DATA(object)
    double PyOS_string_to_double(const char*, char**, PyObject*) except? -1.0

cdef enum:
    # Fields of the JSON object: those of `Event`, and behind them one that it does not keep.
    SCHEMA = EVENT_FIELDS
    JSON_FIELDS
    UNKNOWN = -1

cdef enum Kind:
    ABSENT, NOTHING, YES, NO, PLAIN, TEXT, WHOLE, DECIMAL
    # PLAIN is a string of visible ASCII, TEXT any other without escapes.

cdef enum:
    MAX_NUMBER_CHARS = 18  # any integer of so many digits is a 64-bit one

cdef struct Value:
    Kind kind
    const char* start
    Py_ssize_t size

cdef struct Cursor:
    const char* at
    const char* end

need(EVENT_FIELDS == 13 and ENTRY_FIELDS == 5)

cdef object _Event = Event
cdef object _Entry = Entry
cdef dict _DIGITS = MINOR_DIGITS
cdef int _SCHEMA = SCHEMA_VERSION
cdef Py_ssize_t _MAX_BYTES = MAX_EVENT_BYTES, _MAX_ID = MAX_ID_CHARS, _MAX_TEXT = MAX_TEXT_CHARS
cdef long long _EARLIEST_MS = EARLIEST_MS, _AHEAD_MS = MAX_AHEAD_MS
cdef long long _MAX_MAJOR = MAX_MAJOR, _MAX_QUANTITY = MAX_QUANTITY
cdef object _VIEW = EventType.VIEW, _FAVORITE = EventType.FAVORITE, _CART = EventType.CART
cdef object _REMOVE = EventType.REMOVE_FROM_CART, _PURCHASE = EventType.PURCHASE
cdef object _ONE = 1
cdef dict _NO_EXTRA = {}  # what most events have, never written to
cdef long long[19] _TENS
cdef int _power
_TENS[0] = 1
for _power in range(1, 19):
    _TENS[_power] = 10 * _TENS[_power - 1]


def read_records(records, *, str topic, int partition, str default_currency, now_ms):
    """See `stream.batch.records.read_records`."""
    cdef list entries = []
    cdef long long at_broker_ms
    for record in records:
        timestamp = record.timestamp
        at_broker_ms = timestamp
        event = _read(record.value, record.key, at_broker_ms, default_currency)
        if event is None:
            entries += read_any_records(
                (record,), topic=topic, partition=partition, default_currency=default_currency, now_ms=now_ms
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


cdef object _read(object raw, object key, long long received_ms, str default_currency):
    """The event in `raw`, or None for whatever is not plainly valid."""
    cdef Value[JSON_FIELDS] values
    cdef Value* value
    cdef long long time_ms, number
    cdef object extra
    if not PyBytes_CheckExact(raw) or not PyBytes_CheckExact(key) or PyBytes_GET_SIZE(raw) > _MAX_BYTES:
        return None
    extra = _scan(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw), values)
    if extra is None:
        return None

    value = &values[SCHEMA]
    if value.kind != ABSENT and not (value.kind == WHOLE and _integer(value) == _SCHEMA):
        return None
    value = &values[EVENT_USER_ID]
    if value.size != PyBytes_GET_SIZE(key) or memcmp(value.start, PyBytes_AS_STRING(key), value.size) != 0:
        return None
    value = &values[EVENT_EVENT_TIME_MS]
    if value.kind != WHOLE:
        return None
    time_ms = _integer(value)
    if not _EARLIEST_MS <= time_ms <= received_ms + _AHEAD_MS:
        return None
    value = &values[EVENT_QUANTITY]
    quantity = _ONE
    if value.kind > NOTHING:
        number = _integer(value) if value.kind == WHOLE else 0
        if not 1 <= number <= _MAX_QUANTITY:
            return None
        quantity = number

    event_type = _type_of(&values[EVENT_EVENT_TYPE])
    event_id, user_id, product_id = _id(&values[EVENT_EVENT_ID]), _id(&values[EVENT_USER_ID]), _id(&values[EVENT_PRODUCT_ID])
    if event_type is None or event_id is None or user_id is None or product_id is None:
        return None
    session_id = order_id = category = brand = currency = price = None
    if values[EVENT_SESSION_ID].kind > NOTHING:
        session_id = _id(&values[EVENT_SESSION_ID])
        if session_id is None:
            return None
    if values[EVENT_ORDER_ID].kind > NOTHING:
        order_id = _id(&values[EVENT_ORDER_ID])
        if order_id is None:
            return None
    if values[EVENT_CATEGORY].kind > NOTHING and not _is_empty(&values[EVENT_CATEGORY]):
        category = _string(&values[EVENT_CATEGORY], _MAX_TEXT)
        if category is None:
            return None
    if values[EVENT_BRAND].kind > NOTHING and not _is_empty(&values[EVENT_BRAND]):
        brand = _string(&values[EVENT_BRAND], _MAX_TEXT)
        if brand is None:
            return None
    if values[EVENT_CURRENCY].kind > NOTHING:
        currency = _currency(&values[EVENT_CURRENCY], default_currency)
        if currency is None:
            return None
    if values[EVENT_PRICE_MINOR].kind > NOTHING:
        if currency is None:
            currency = default_currency
        number = _price_minor(&values[EVENT_PRICE_MINOR], _DIGITS[currency])
        if number < 0:
            return None
        price = number

    event = new_tuple(_Event, EVENT_FIELDS)
    set_item(event, EVENT_EVENT_ID, event_id)
    set_item(event, EVENT_EVENT_TYPE, event_type)
    set_item(event, EVENT_EVENT_TIME_MS, time_ms)
    set_item(event, EVENT_USER_ID, user_id)
    set_item(event, EVENT_PRODUCT_ID, product_id)
    set_item(event, EVENT_SESSION_ID, session_id)
    set_item(event, EVENT_PRICE_MINOR, price)
    set_item(event, EVENT_CURRENCY, currency)
    set_item(event, EVENT_QUANTITY, quantity)
    set_item(event, EVENT_CATEGORY, category)
    set_item(event, EVENT_BRAND, brand)
    set_item(event, EVENT_ORDER_ID, order_id)
    set_item(event, EVENT_EXTRA, None if extra is _NO_EXTRA else extra)
    return event


# -- JSON: only what needs no second look -------------------------------------------------------------------


cdef object _scan(const char* data, Py_ssize_t size, Value* values):
    """Finds the fields of an object; returns those the contract does not know, or None for anything unusual."""
    cdef Cursor cursor
    cdef Value name, value
    cdef int field
    cdef dict extra = _NO_EXTRA
    cursor.at, cursor.end = data, data + size
    for field in range(JSON_FIELDS):
        values[field].kind, values[field].size = ABSENT, 0
    if not _take(&cursor, c'{'):
        return None
    while True:
        _skip_blanks(&cursor)
        if not _scan_string(&cursor, &name) or name.kind != PLAIN or not _take(&cursor, c':'):
            return None
        _skip_blanks(&cursor)
        if not _scan_value(&cursor, &value):
            return None
        field = _field(&name)
        if field >= 0:
            if values[field].kind != ABSENT:
                return None
            values[field] = value
        else:
            if extra is _NO_EXTRA:
                extra = {}
            if _is(&name, b"user_session", 12) or not _keep(extra, &name, &value):
                return None
        if _take(&cursor, c','):
            continue
        if not _take(&cursor, c'}'):
            return None
        _skip_blanks(&cursor)
        return extra if cursor.at == cursor.end else None


cdef inline void _skip_blanks(Cursor* cursor) noexcept:
    while cursor.at < cursor.end and cursor.at[0] in (c' ', c'\t', c'\n', c'\r'):
        cursor.at += 1


cdef inline bint _take(Cursor* cursor, char wanted) noexcept:
    """Whether the next character but blanks is this one; then it is taken."""
    _skip_blanks(cursor)
    if cursor.at < cursor.end and cursor.at[0] == wanted:
        cursor.at += 1
        return True
    return False


cdef bint _scan_value(Cursor* cursor, Value* value) noexcept:
    if cursor.at == cursor.end:
        return False
    cdef char first = cursor.at[0]
    if first == c'"':
        return _scan_string(cursor, value)
    if c'0' <= first <= c'9':
        return _scan_number(cursor, value)
    if first == c'n':
        return _scan_word(cursor, value, b"null", 4, NOTHING)
    if first == c't':
        return _scan_word(cursor, value, b"true", 4, YES)
    if first == c'f':
        return _scan_word(cursor, value, b"false", 5, NO)
    return False


cdef bint _scan_string(Cursor* cursor, Value* value) noexcept:
    """A string up to its closing quote; False if there is an escape or a control character."""
    cdef const char* at = cursor.at
    cdef uint8_t char
    if at == cursor.end or at[0] != c'"':
        return False
    at += 1
    value.kind, value.start = PLAIN, at
    while at < cursor.end:
        char = <uint8_t>at[0]
        if char == c'"':
            value.size = at - value.start
            cursor.at = at + 1
            return True
        if char == c'\\' or char < 0x20:
            return False
        if char == 0x20 or char >= 0x7f:
            value.kind = TEXT
        at += 1
    return False


cdef bint _scan_number(Cursor* cursor, Value* value) noexcept:
    """Digits, perhaps with a point and digits behind it; False for any other number."""
    cdef const char* at = cursor.at
    value.kind, value.start = WHOLE, at
    while at < cursor.end and c'0' <= at[0] <= c'9':
        at += 1
    if value.start[0] == c'0' and at - value.start > 1:
        return False
    if at < cursor.end and at[0] == c'.':
        value.kind = DECIMAL
        at += 1
        if at == cursor.end or not c'0' <= at[0] <= c'9':
            return False
        while at < cursor.end and c'0' <= at[0] <= c'9':
            at += 1
    if at < cursor.end and at[0] in (c'e', c'E', c'.', c'+', c'-'):
        return False
    value.size = at - value.start
    cursor.at = at
    return value.size <= MAX_NUMBER_CHARS


cdef bint _scan_word(Cursor* cursor, Value* value, const char* word, Py_ssize_t size, Kind kind) noexcept:
    if cursor.end - cursor.at < size or memcmp(cursor.at, word, size) != 0:
        return False
    value.kind, value.start, value.size = kind, cursor.at, size
    cursor.at += size
    return True


cdef bint _keep(dict extra, Value* name, Value* value) except -1:
    """Keep a field that the contract does not know, as it would be read from JSON."""
    if value.kind == NOTHING:
        kept = None
    elif value.kind == YES or value.kind == NO:
        kept = value.kind == YES
    elif value.kind == WHOLE:
        kept = _integer(value)
    elif value.kind == DECIMAL:
        kept = _double(value)
    else:
        kept = _decoded(value)
        if kept is None:
            return False
    extra[_decoded(name)] = kept
    return True


# -- fields -------------------------------------------------------------------------------------------------


cdef inline bint _is(Value* value, const char* text, Py_ssize_t size) noexcept:
    return value.size == size and memcmp(value.start, text, size) == 0


cdef int _field(Value* name) noexcept:
    """The place of a field of the contract, `UNKNOWN` for any other."""
    if name.size == 5:
        if _is(name, b"price", 5):
            return EVENT_PRICE_MINOR
        if _is(name, b"brand", 5):
            return EVENT_BRAND
    elif name.size == 6:
        if _is(name, b"schema", 6):
            return SCHEMA
    elif name.size == 7:
        if _is(name, b"user_id", 7):
            return EVENT_USER_ID
    elif name.size == 8:
        if _is(name, b"event_id", 8):
            return EVENT_EVENT_ID
        if _is(name, b"currency", 8):
            return EVENT_CURRENCY
        if _is(name, b"quantity", 8):
            return EVENT_QUANTITY
        if _is(name, b"category", 8):
            return EVENT_CATEGORY
        if _is(name, b"order_id", 8):
            return EVENT_ORDER_ID
    elif name.size == 10:
        if _is(name, b"event_type", 10):
            return EVENT_EVENT_TYPE
        if _is(name, b"event_time", 10):
            return EVENT_EVENT_TIME_MS
        if _is(name, b"session_id", 10):
            return EVENT_SESSION_ID
        if _is(name, b"product_id", 10):
            return EVENT_PRODUCT_ID
    return UNKNOWN


cdef object _type_of(Value* value):
    if value.kind != PLAIN:
        return None
    if _is(value, b"view", 4):
        return _VIEW
    if _is(value, b"cart", 4):
        return _CART
    if _is(value, b"purchase", 8):
        return _PURCHASE
    if _is(value, b"favorite", 8):
        return _FAVORITE
    if _is(value, b"remove_from_cart", 16):
        return _REMOVE
    return None


cdef inline long long _integer(Value* value) noexcept:
    cdef long long number = 0
    cdef Py_ssize_t i
    for i in range(value.size):
        number = 10 * number + (value.start[i] - c'0')
    return number


cdef double _double(Value* value) except? -1.0:
    cdef char[MAX_NUMBER_CHARS + 1] text
    memcpy(text, value.start, value.size)
    text[value.size] = 0
    return PyOS_string_to_double(text, NULL, NULL)


cdef str _ascii(Value* value):
    cdef str text = PyUnicode_New(value.size, 127)
    memcpy(PyUnicode_DATA(text), value.start, value.size)
    return text


cdef object _decoded(Value* value):
    """The string, or None for bytes that are no UTF-8."""
    if value.kind == PLAIN:
        return _ascii(value)
    try:
        return PyUnicode_DecodeUTF8(value.start, value.size, NULL)
    except UnicodeDecodeError:
        return None


cdef inline bint _is_empty(Value* value) noexcept:
    return value.size == 0 and value.kind == PLAIN


cdef object _string(Value* value, Py_ssize_t longest):
    """A string, or digits as one, of 1 to `longest` printable characters, not all blank; None for others."""
    if value.size == 0:
        return None
    if value.kind == PLAIN or value.kind == WHOLE:
        return _ascii(value) if value.size <= longest else None
    if value.kind != TEXT:
        return None
    text = _decoded(value)
    if text is None or len(<str>text) > longest or not text.isprintable() or text.isspace():
        return None
    return text


cdef inline object _id(Value* value):
    return _string(value, _MAX_ID)


cdef object _currency(Value* value, str default_currency):
    cdef Py_ssize_t size
    cdef const char* usual = PyUnicode_AsUTF8AndSize(default_currency, &size)
    if value.kind != PLAIN:
        return None
    if _is(value, usual, size):
        return default_currency
    text = _ascii(value)
    return text if text in _DIGITS else None


cdef long long _price_minor(Value* value, int minor_digits) except? -2:
    """The price in minor units; negative for one that is not plainly within the contract."""
    cdef long long minor, scale = _TENS[minor_digits]
    cdef double scaled
    if value.kind == WHOLE:
        if value.size > 12:
            return -1
        minor = _integer(value) * scale
    elif value.kind == DECIMAL:
        scaled = rint(_double(value) * scale)
        if scaled > 9e15:
            return -1
        minor = <long long>scaled
    elif value.kind == PLAIN:
        minor = _decimal_minor(value, minor_digits)
    else:
        return -1
    return minor if minor <= _MAX_MAJOR * scale else -1


cdef long long _decimal_minor(Value* value, int minor_digits) noexcept:
    """A decimal string with at most the digits of its currency behind the point; negative for any other."""
    cdef long long minor = 0
    cdef Py_ssize_t i, point = -1, behind
    for i in range(value.size):
        if value.start[i] == c'.' and point < 0:
            point = i
        elif c'0' <= value.start[i] <= c'9' and i < MAX_NUMBER_CHARS:
            minor = 10 * minor + (value.start[i] - c'0')
        else:
            return -1
    if point < 0:
        point, behind = value.size, 0
    else:
        behind = value.size - point - 1
        if not behind:
            return -1
    if not 1 <= point <= 12 or behind > minor_digits:
        return -1
    return minor * _TENS[minor_digits - behind]
