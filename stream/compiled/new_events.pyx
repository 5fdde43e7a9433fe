# cython: language_level=3, boundscheck=False, wraparound=False
"""Events of a visitor that were not seen before: their digests, their order, and the actions kept of them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memcmp, memcpy

from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "new_events.pxi"  # positions in named tuples, see layout.py

from contracts.events import EventType
from contracts.visitor import Action, digest_of

need(ACTION_FIELDS == 10 and RANKS == 5)

cdef object _VIEW = EventType.VIEW, _FAVORITE = EventType.FAVORITE, _CART = EventType.CART
cdef object _REMOVE = EventType.REMOVE_FROM_CART
cdef object _Action = Action


cdef int rank_of(object event_type) noexcept:
    if event_type is _VIEW:
        return RANK_VIEW
    if event_type is _CART:
        return RANK_CART
    if event_type is _FAVORITE:
        return RANK_FAVORITE
    return RANK_REMOVE_FROM_CART if event_type is _REMOVE else RANK_PURCHASE


cdef bint is_before(NewEvent* one, NewEvent* other) noexcept:
    """The order of `contracts.visitor.Action`."""
    if one.at_ms != other.at_ms:
        return one.at_ms < other.at_ms
    if one.rank != other.rank:
        return one.rank < other.rank
    return memcmp(one.digest, other.digest, BLAKE2B_DIGEST_BYTES) < 0


cdef bint is_within(object before, NewEvent* new_events, Py_ssize_t size, long long gap_ms) except -1:
    """Whether no silence before or between these events of a visitor was longer than `gap_ms`."""
    cdef long long last_ms = new_events[0].at_ms
    cdef Py_ssize_t i
    if before is not None:
        last_ms = item(item(before, VISITOR_HEAD), SESSION_LAST_MS)
    for i in range(size):
        if new_events[i].at_ms - last_ms > gap_ms:
            return False
        last_ms = new_events[i].at_ms
    return True


cdef int put_digest(str event_id, uint8_t* digest) except -1:
    """See `contracts.visitor.digest_of`."""
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(event_id, &size)
    cdef bytes made
    if size <= BLAKE2B_BLOCK_BYTES:
        blake2b_8(data, size, digest)
    else:
        made = digest_of(event_id)
        memcpy(digest, PyBytes_AS_STRING(made), BLAKE2B_DIGEST_BYTES)
    return 0


cdef bint holds(const char* digests, Py_ssize_t number, uint8_t* digest) noexcept:
    """See `contracts.visitor.is_seen`; the newest are looked at first."""
    cdef Py_ssize_t i
    for i in range(number - 1, -1, -1):
        if memcmp(digests + i * BLAKE2B_DIGEST_BYTES, digest, BLAKE2B_DIGEST_BYTES) == 0:
            return True
    return False


cdef bytes digest_bytes(NewEvent* new_event):
    return PyBytes_FromStringAndSize(<char*>new_event.digest, BLAKE2B_DIGEST_BYTES)


cdef object action_of(NewEvent* new_event):
    event = <object>new_event.event
    action = new_tuple(_Action, ACTION_FIELDS)
    set_item(action, ACTION_AT_MS, new_event.at_ms)
    set_item(action, ACTION_RANK, new_event.rank)
    set_item(action, ACTION_DIGEST, digest_bytes(new_event))
    set_item(action, ACTION_PRODUCT_ID, item(event, EVENT_PRODUCT_ID))
    set_item(action, ACTION_QUANTITY, item(event, EVENT_QUANTITY))
    set_item(action, ACTION_PRICE_MINOR, item(event, EVENT_PRICE_MINOR))
    set_item(action, ACTION_CURRENCY, item(event, EVENT_CURRENCY))
    set_item(action, ACTION_CATEGORY, item(event, EVENT_CATEGORY))
    set_item(action, ACTION_BRAND, item(event, EVENT_BRAND))
    set_item(action, ACTION_SESSION_ID, item(event, EVENT_SESSION_ID))
    return action
