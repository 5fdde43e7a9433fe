# cython: language_level=3, boundscheck=False, wraparound=False
"""Sessions that are due after a batch, as `stream.components.sessions.due` has them.

Visitors who go on in order within one session are taken here, all others go the way of the definition.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp

from stream.compiled.carts cimport read_counts
from stream.compiled.packed cimport read_int
from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "sessions.pxi"  # positions in named tuples, see layout.py

from contracts.sessions import FORMAT, MARKS, MAX_ITEMS, SESSIONS_PER_VISITOR
from stream.components.sessions.due import DueSessions, FEWEST_ITEMS, Seen, due_sessions, take_visitor
from stream.visitors.session import KEEP_ACTIONS

need(
    ACTION_AT_MS == 0 and ACTION_RANK == 1 and ACTION_DIGEST == 2 and ACTION_PRODUCT_ID == 3 and ACTION_QUANTITY == 4
    and ACTION_PRICE_MINOR == 5 and ACTION_CURRENCY == 6 and ACTION_CATEGORY == 7 and ACTION_BRAND == 8
    and ACTION_SESSION_ID == 9 and ACTION_FIELDS == 10
)  # read in this order
need(Seen._fields == ("at_ms", "facts"))

cdef extern from "Python.h":
    PyObject* PyDict_GetItem(object p, object key)

cdef object _Seen = Seen
cdef int _FORMAT = FORMAT, _MAX_ITEMS = MAX_ITEMS, _FEWEST = FEWEST_ITEMS, _KEEP = KEEP_ACTIONS
cdef int[RANKS] _MARKS
for _rank in range(RANKS):
    _MARKS[_rank] = MARKS[_rank]
cdef list _FIELDS = [str(number) for number in range(SESSIONS_PER_VISITOR)]
cdef int _RING = SESSIONS_PER_VISITOR
cdef object _VIEWED = 1


def due_of_batch(visitors, before, known, idle_ms):
    """See `stream.components.sessions.due.due_sessions`."""
    due = DueSessions([], [], [], {}, {})
    cdef list user_ids = due.user_ids, fields = due.fields, blobs = due.blobs
    cdef dict seen = due.seen, held = known
    cdef Packer packer = Packer()
    for user_id, visitor in visitors.items():
        was = before.get(user_id)
        taken = _due(visitor, was)
        if taken == NOT_DUE:
            continue
        if taken == IN_ORDER:
            blob = _pack_head(visitor, packer, seen, held)
            if blob is not None:
                if blob is not _VIEWED:
                    user_ids.append(user_id)
                    fields.append(_FIELDS[<long long>item(item(visitor, VISITOR_HEAD), SESSION_NUMBER) % _RING])
                    blobs.append(blob)
                continue
        take_visitor(due, user_id, visitor, was, known, idle_ms)
    return due


cdef enum:
    NOT_DUE
    IN_ORDER
    OTHERWISE


cdef int _due(object visitor, object was) except -1:
    """What is to be done of a visitor."""
    cdef long long[RANKS] counts
    cdef long long[RANKS] earlier
    cdef long long n = 0, n_earlier = 0
    cdef bytes packed, packed_before
    cdef Py_ssize_t size
    cdef int i
    head = item(visitor, VISITOR_HEAD)
    read_counts(item(head, SESSION_COUNTS), counts)
    for i in range(RANKS):
        n += counts[i]
    if was is None:
        if <long long>item(head, SESSION_NUMBER) != 1:
            return OTHERWISE
        return IN_ORDER if n > 1 or counts[RANK_CART] or counts[RANK_PURCHASE] else NOT_DUE
    head_before = item(was, VISITOR_HEAD)
    if item(head, SESSION_NUMBER) != item(head_before, SESSION_NUMBER):
        return OTHERWISE
    if item(visitor, VISITOR_BASE) is not item(was, VISITOR_BASE):
        return OTHERWISE
    packed = item(item(visitor, VISITOR_TAIL), TAIL_PACKED)
    packed_before = item(item(was, VISITOR_TAIL), TAIL_PACKED)
    if packed is not packed_before:
        size = PyBytes_GET_SIZE(packed_before)
        if size > PyBytes_GET_SIZE(packed) or memcmp(PyBytes_AS_STRING(packed), PyBytes_AS_STRING(packed_before), size):
            return OTHERWISE
    if item(visitor, VISITOR_ENDED) and not item(was, VISITOR_ENDED):
        return IN_ORDER
    read_counts(item(head_before, SESSION_COUNTS), earlier)
    for i in range(RANKS):
        n_earlier += earlier[i]
    if counts[RANK_CART] > earlier[RANK_CART] or counts[RANK_PURCHASE] > earlier[RANK_PURCHASE]:
        return IN_ORDER
    return IN_ORDER if n > 1 and _bit_length(n) > _bit_length(n_earlier) else NOT_DUE


cdef inline int _bit_length(long long number) noexcept:
    cdef int length = 0
    while number:
        number >>= 1
        length += 1
    return length


cdef object _pack_head(object visitor, Packer packer, dict seen, dict known):
    """The blob of the current session, `_VIEWED` if it is not kept, None for a tail not packed as by us."""
    cdef object head = item(visitor, VISITOR_HEAD), tail = item(visitor, VISITOR_TAIL)
    cdef bytes packed = item(tail, TAIL_PACKED)
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(packed)
    cdef const uint8_t* end = at + PyBytes_GET_SIZE(packed)
    cdef const uint8_t* facts
    cdef const char* text = NULL
    cdef Py_ssize_t size = 0
    cdef long long[RANKS] counts
    cdef long long n = 0, number = item(tail, TAIL_SIZE), i, first
    cdef int64_t at_ms = 0, rank = 0
    cdef int bits, every = 0
    cdef dict marks = {}
    cdef PyObject* held
    read_counts(item(head, SESSION_COUNTS), counts)
    for i in range(RANKS):
        n += counts[i]
    first = number - min(n, _KEEP)
    for i in range(number):
        if at >= end or at[0] != 0x90 | ACTION_FIELDS:
            return None
        at = _skip(at + 1, end, ACTION_FIELDS) if i < first else at + 1
        if i < first:
            if at == NULL:
                return None
            continue
        at = read_int(at, end, &at_ms)
        at = read_int(at, end, &rank)
        at = _skip(at, end, 1)  # the digest
        at = _read_text(at, end, &text, &size)
        at = _skip(at, end, 1)  # the quantity
        facts = at
        at = _skip(at, end, 4)
        if at == NULL or not 0 <= rank < RANKS:
            return None
        if size:
            product_id = PyUnicode_DecodeUTF8(text, size, NULL)
            bits = _MARKS[rank]
            every |= bits
            held = PyDict_GetItem(marks, product_id)
            if held != NULL:
                bits |= <int><object>held
                del marks[product_id]  # it comes last
            marks[product_id] = bits
            _see(product_id, at_ms, facts, at - facts, seen, known)
        at = _skip(at, end, 1)  # the session
        if at == NULL:
            return None
    if at != end:
        return None
    if len(marks) < _FEWEST and every <= 1:
        return _VIEWED
    return _pack(packer, head, at_ms, marks)


cdef object _pack(Packer packer, object head, long long last_ms, dict marks):
    """See `contracts.sessions.pack_session`."""
    cdef list items = list(marks), bits = list(marks.values())
    if len(items) > _MAX_ITEMS:
        items, bits = items[len(items) - _MAX_ITEMS :], bits[len(bits) - _MAX_ITEMS :]
    packer.size = 0
    packer.put_array(5)
    packer.put_int(_FORMAT)
    packer.put_int(item(head, SESSION_START_MS))
    packer.put_int(last_ms)
    packer.put_array(len(items))
    for product_id in items:
        packer.put_text(<str>product_id)
    packer.put_array(len(bits))
    for each in bits:
        packer.put_int(each)
    return packer.taken()


cdef int _see(
    object product_id, int64_t at_ms, const uint8_t* facts, Py_ssize_t size, dict seen, dict known
) except -1:
    cdef PyObject* held = PyDict_GetItem(seen, product_id)
    cdef bytes known_facts
    if held == NULL:
        held = PyDict_GetItem(known, product_id)
    if held != NULL:
        known_facts = item(<object>held, 1)
        if PyBytes_GET_SIZE(known_facts) == size and not memcmp(PyBytes_AS_STRING(known_facts), facts, size):
            return 0
        if at_ms <= <int64_t>item(<object>held, 0):
            return 0
    told = new_tuple(_Seen, 2)
    set_item(told, 0, at_ms)
    set_item(told, 1, PyBytes_FromStringAndSize(<const char*>facts, size))
    seen[product_id] = told
    return 0


cdef const uint8_t* _skip(const uint8_t* at, const uint8_t* end, int values) noexcept:
    """The end of so many values, none of which may hold others; NULL for anything else."""
    cdef int i, width
    cdef Py_ssize_t size
    for i in range(values):
        if at == NULL or at >= end:
            return NULL
        if at[0] < 0x80 or at[0] == 0xc0 or at[0] >= 0xe0:
            at += 1
        elif 0xcc <= at[0] <= 0xd3:
            at += 1 + (1 << (at[0] & 3))
        else:
            at = _read_size(at, end, &size)
            if at == NULL or size > end - at:
                return NULL
            at += size
    return at if at != NULL and at <= end else NULL


cdef const uint8_t* _read_size(const uint8_t* at, const uint8_t* end, Py_ssize_t* size) noexcept:
    """Where the bytes of a string begin, or of bytes."""
    cdef int width = 0, i
    if 0xa0 <= at[0] < 0xc0:
        size[0] = at[0] & 0x1f
        return at + 1
    if 0xd9 <= at[0] <= 0xdb:
        width = 1 << (at[0] - 0xd9)
    elif 0xc4 <= at[0] <= 0xc6:
        width = 1 << (at[0] - 0xc4)
    if not width or at + width >= end:
        return NULL
    size[0] = 0
    for i in range(width):
        size[0] = size[0] << 8 | at[1 + i]
    return at + 1 + width


cdef const uint8_t* _read_text(const uint8_t* at, const uint8_t* end, const char** text, Py_ssize_t* size) noexcept:
    if at == NULL or at >= end or 0xc4 <= at[0] <= 0xc6:
        return NULL
    at = _read_size(at, end, size)
    if at == NULL or size[0] > end - at:
        return NULL
    text[0] = <const char*>at
    return at + size[0]


STEPS = {due_sessions: due_of_batch}
