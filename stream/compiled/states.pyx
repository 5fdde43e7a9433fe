# cython: language_level=3, boundscheck=False, wraparound=False
"""The parts of a visitor's next state, for new events that go on in order with the session."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from stream.compiled.carts cimport add_line, add_revenue, lower_line, new_counts, read_counts
from stream.compiled.new_events cimport BLAKE2B_DIGEST_BYTES, NewEvent, digest_bytes
from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "states.pxi"  # positions in named tuples, see layout.py

from contracts.visitor import Session, Tail, Totals
from stream.visitors.session import MAX_SEEN_BYTES

need(SESSION_FIELDS == 8 and TAIL_FIELDS == 3 and TOTALS_FIELDS == 5)
need(
    ACTION_AT_MS == 0 and ACTION_RANK == 1 and ACTION_DIGEST == 2 and ACTION_PRODUCT_ID == 3 and ACTION_QUANTITY == 4
    and ACTION_PRICE_MINOR == 5 and ACTION_CURRENCY == 6 and ACTION_CATEGORY == 7 and ACTION_BRAND == 8
    and ACTION_SESSION_ID == 9 and ACTION_FIELDS == 10
)  # packed in this order

cdef object _Session = Session, _Tail = Tail, _Totals = Totals
cdef Py_ssize_t _MAX_SEEN = MAX_SEEN_BYTES


cdef object advance(object head, NewEvent* new_events, Py_ssize_t size):
    """See `stream.visitors.session.advance`."""
    cdef long long[RANKS] counts
    cdef long long units = 0
    cdef NewEvent* new_event = new_events
    cdef Py_ssize_t i
    cdef dict revenue, cart
    cdef bint is_copied = head is None
    if head is None:
        session_id, number, start_ms, revenue, cart = None, 1, new_event.at_ms, {}, {}
        for i in range(RANKS):
            counts[i] = 0
    else:
        session_id, number = item(head, SESSION_SESSION_ID), item(head, SESSION_NUMBER)
        start_ms = item(head, SESSION_START_MS)
        units, revenue = item(head, SESSION_UNITS), item(head, SESSION_REVENUE_MINOR)
        cart = item(head, SESSION_CART)
        read_counts(item(head, SESSION_COUNTS), counts)
    for i in range(size):
        new_event = &new_events[i]
        counts[new_event.rank] += 1
        event = <object>new_event.event
        given_id = item(event, EVENT_SESSION_ID)
        if given_id is not None:
            session_id = given_id
        if new_event.rank < RANK_CART:
            continue
        if not is_copied:
            revenue, cart, is_copied = revenue.copy(), cart.copy(), True
        product = item(event, EVENT_PRODUCT_ID)
        if new_event.rank == RANK_CART:
            add_line(cart, product, event)
        elif new_event.rank == RANK_REMOVE_FROM_CART:
            lower_line(cart, product, item(event, EVENT_QUANTITY))
        else:
            cart.pop(product, None)
            units += <long long>item(event, EVENT_QUANTITY)
            add_revenue(revenue, event)
    session = new_tuple(_Session, SESSION_FIELDS)
    set_item(session, SESSION_SESSION_ID, session_id)
    set_item(session, SESSION_NUMBER, number)
    set_item(session, SESSION_START_MS, start_ms)
    set_item(session, SESSION_LAST_MS, new_event.at_ms)
    set_item(session, SESSION_COUNTS, new_counts(counts))
    set_item(session, SESSION_UNITS, units)
    set_item(session, SESSION_REVENUE_MINOR, revenue)
    set_item(session, SESSION_CART, cart)
    return session


cdef object add_totals(object totals, NewEvent* new_events, Py_ssize_t size):
    """What `stream.visitors.session` adds to the sums over everything a visitor did."""
    cdef long long[RANKS] counts
    cdef long long units = 0
    cdef NewEvent* new_event = new_events
    cdef Py_ssize_t i
    cdef dict revenue
    cdef bint is_copied = totals is None
    first_ms, last_ms = new_event.at_ms, new_events[size - 1].at_ms
    if totals is None:
        revenue = {}
        for i in range(RANKS):
            counts[i] = 0
    else:
        if item(totals, TOTALS_FIRST_MS) < first_ms:
            first_ms = item(totals, TOTALS_FIRST_MS)
        if item(totals, TOTALS_LAST_MS) > last_ms:
            last_ms = item(totals, TOTALS_LAST_MS)
        units, revenue = item(totals, TOTALS_UNITS), item(totals, TOTALS_REVENUE_MINOR)
        read_counts(item(totals, TOTALS_COUNTS), counts)
    for i in range(size):
        new_event = &new_events[i]
        counts[new_event.rank] += 1
        if new_event.rank == RANK_PURCHASE:
            event = <object>new_event.event
            units += <long long>item(event, EVENT_QUANTITY)
            if not is_copied:
                revenue, is_copied = revenue.copy(), True
            add_revenue(revenue, event)
    after = new_tuple(_Totals, TOTALS_FIELDS)
    set_item(after, TOTALS_FIRST_MS, first_ms)
    set_item(after, TOTALS_LAST_MS, last_ms)
    set_item(after, TOTALS_COUNTS, new_counts(counts))
    set_item(after, TOTALS_UNITS, units)
    set_item(after, TOTALS_REVENUE_MINOR, revenue)
    return after


cdef object add_actions(object tail, NewEvent* new_events, Py_ssize_t size, Packer packer):
    """The tail with the actions at its end, packed as `contracts.visitor.pack_actions` does it."""
    cdef NewEvent* new_event = new_events
    cdef Py_ssize_t i, known = 0
    cdef bytes before
    packer.size = 0
    if tail is not None:
        before = item(tail, TAIL_PACKED)
        packer.put_raw(PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
        known = item(tail, TAIL_SIZE)
    for i in range(size):
        new_event = &new_events[i]
        event = <object>new_event.event
        packer.put_array(ACTION_FIELDS)
        packer.put_int(new_event.at_ms)
        packer.put_int(new_event.rank)
        packer.put_bytes(<char*>new_event.digest, BLAKE2B_DIGEST_BYTES)
        packer.put(item(event, EVENT_PRODUCT_ID))
        packer.put(item(event, EVENT_QUANTITY))
        packer.put(item(event, EVENT_PRICE_MINOR))
        packer.put(item(event, EVENT_CURRENCY))
        packer.put(item(event, EVENT_CATEGORY))
        packer.put(item(event, EVENT_BRAND))
        packer.put(item(event, EVENT_SESSION_ID))
    after = new_tuple(_Tail, TAIL_FIELDS)
    set_item(after, TAIL_PACKED, packer.taken())
    set_item(after, TAIL_SIZE, known + size)
    set_item(after, TAIL_LAST, (new_event.at_ms, new_event.rank, digest_bytes(new_event)))
    return after


cdef bytes add_digests(bytes seen, NewEvent* new_events, Py_ssize_t size):
    """Digests seen, the newest last, at most `MAX_SEEN_BYTES` of them."""
    cdef Py_ssize_t before = PyBytes_GET_SIZE(seen), added = size * BLAKE2B_DIGEST_BYTES, i
    cdef Py_ssize_t cut = max(0, before + added - _MAX_SEEN)
    cdef bytes after
    cdef char* at
    if cut > before:  # as many new ones as are kept: rare enough to be done simply
        return (seen + b"".join([digest_bytes(&new_events[i]) for i in range(size)]))[-_MAX_SEEN:]
    after = PyBytes_FromStringAndSize(NULL, before + added - cut)
    at = PyBytes_AS_STRING(after)
    memcpy(at, PyBytes_AS_STRING(seen) + cut, before - cut)
    at += before - cut
    for i in range(size):
        memcpy(at + i * BLAKE2B_DIGEST_BYTES, new_events[i].digest, BLAKE2B_DIGEST_BYTES)
    return after
