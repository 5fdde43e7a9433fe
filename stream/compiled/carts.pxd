"""Counts, money and carts. See carts.pyx."""

cdef int read_counts(object numbers, long long* counts) except -1
cdef tuple new_counts(long long* counts)
cdef int grow(dict fields, object name, long long change) except -1
cdef int add_revenue(dict revenue, object event) except -1
cdef int add_line(dict cart, object product, object event) except -1
cdef int lower_line(dict cart, object product, object quantity) except -1
