"""The step of a visitor. See visitors.pyx."""

from stream.compiled.alerts cimport AlertStep
from stream.compiled.new_events cimport NewEvent
from stream.compiled.packing cimport Packer


cdef class VisitorStep:
    cdef object _result, _settings, _alert_rules, _fields
    cdef bint _keeps_events
    cdef dict _visitors, _timers, _minutes, _shop, _sales
    cdef set _stale, _currencies
    cdef AlertStep _alerts
    cdef long long _idle_ms
    cdef NewEvent* _new_events
    cdef Py_ssize_t _size, _room
    cdef Packer _packer
    cdef long long _minute_ms
    cdef tuple _by_rank, _categories
    cdef dict _orders
    cdef list _lines, _purchases

    cdef long long apply(self, object user_id, object visitor, list events) except -1
    cdef bint _take(self, object visitor, list events) except -1
    cdef bint _take_line(self, object event) except -1
    cdef bint _is_one_session(self, object visitor) except -1
    cdef bint _repeats(self, NewEvent* new_event) noexcept
    cdef int _make_room(self, Py_ssize_t size) except -1
    cdef int _go_on(self, object user_id, object visitor) except -1
    cdef int _count(self, NewEvent* new_event) except -1
    cdef int _count_sale(self, object minute_ms, str product, object event) except -1
    cdef int _count_orders(self) except -1
    cdef dict _shop_of(self, object minute_ms)
    cdef int _count_reach(self, object before, object after) except -1
