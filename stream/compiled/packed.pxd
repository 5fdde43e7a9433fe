"""Reading in place what MessagePack packed."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp


cdef struct Name:
    const char* text  # NULL: none
    Py_ssize_t size


cdef inline bint is_same(Name* one, Name* other) noexcept:
    return one.size == other.size and memcmp(one.text, other.text, one.size) == 0


cdef inline const uint8_t* read_int(const uint8_t* at, const uint8_t* end, int64_t* value) noexcept:
    """The end of an integer of MessagePack that is not negative; NULL for anything else."""
    cdef int width, i
    if at == NULL or at >= end:
        return NULL
    if at[0] < 0x80:
        value[0] = at[0]
        return at + 1
    if not 0xcc <= at[0] <= 0xcf:
        return NULL
    width = 1 << (at[0] - 0xcc)
    if at + 1 + width > end or width == 8 and at[1] & 0x80:
        return NULL
    value[0] = 0
    for i in range(width):
        value[0] = value[0] << 8 | at[1 + i]
    return at + 1 + width


cdef inline const uint8_t* read_name(const uint8_t* at, const uint8_t* end, Name* name) noexcept:
    """The end of a string, of bytes or of nothing; NULL for anything else."""
    cdef int width, i
    if at == NULL or at >= end:
        return NULL
    name.text, name.size = NULL, 0
    if at[0] == 0xc0:
        return at + 1
    if 0xa0 <= at[0] < 0xc0:
        name.size, width = at[0] & 0x1f, 0
    elif 0xd9 <= at[0] <= 0xdb:
        width = 1 << (at[0] - 0xd9)
    elif 0xc4 <= at[0] <= 0xc6:
        width = 1 << (at[0] - 0xc4)
    else:
        return NULL
    at += 1
    if at + width > end:
        return NULL
    for i in range(width):
        name.size = name.size << 8 | at[i]
    at += width
    if name.size > end - at:
        return NULL
    name.text = <const char*>at
    return at + name.size
