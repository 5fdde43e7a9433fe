"""Lines of orders, and the digests that tell them apart. See orders.pyx."""

from libc.stdint cimport uint8_t


cdef object take_line(dict orders, object event)
cdef int put_joined(str one, str two, str three, uint8_t* digest) except -1
cdef str hex_of(uint8_t* digest)
