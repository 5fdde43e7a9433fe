"""A buffer of MessagePack. See packing.pyx."""

from libc.stdint cimport uint8_t, uint64_t


cdef class Packer:
    cdef char* _data
    cdef Py_ssize_t size
    cdef Py_ssize_t _room

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef int put_array(self, Py_ssize_t length) except -1
    cdef int put_int(self, long long value) except -1
    cdef int put_raw(self, const char* data, Py_ssize_t length) except -1
    cdef int put_bytes(self, const char* data, Py_ssize_t length) except -1
    cdef int put_text(self, str value) except -1
    cdef int put(self, object value) except -1
    cdef bytes taken(self)
    cdef int _put_byte(self, uint8_t byte) except -1
    cdef int _put_head(
        self, Py_ssize_t length, uint8_t small, Py_ssize_t largest_small, uint8_t one, uint8_t two, uint8_t four
    ) except -1
    cdef void _put_number(self, uint8_t head, uint64_t value, int width) noexcept


cpdef list pack_visitors(object visitors)
