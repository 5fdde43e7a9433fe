"""One event of a visitor on its way into the state. See new_events.pyx."""

from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cdef extern from "blake2b.h":
    enum:
        BLAKE2B_BLOCK_BYTES
        BLAKE2B_DIGEST_BYTES
    void blake2b_8(const char*, size_t, uint8_t*) noexcept

cdef struct NewEvent:
    # One event of a visitor that was not seen before; the event itself is held by its batch.
    long long at_ms
    int rank
    uint8_t[BLAKE2B_DIGEST_BYTES] digest
    PyObject* event


cdef int rank_of(object event_type) noexcept
cdef bint is_before(NewEvent* one, NewEvent* other) noexcept
cdef bint is_within(object before, NewEvent* new_events, Py_ssize_t size, long long gap_ms) except -1
cdef int put_digest(str event_id, uint8_t* digest) except -1
cdef bint holds(const char* digests, Py_ssize_t number, uint8_t* digest) noexcept
cdef bytes digest_bytes(NewEvent* new_event)
cdef object action_of(NewEvent* new_event)
