"""The step of a visitor. See visitors.pyx."""

from stream.compiled.new_events cimport NewEvent
from stream.compiled.packing cimport Packer


cdef class VisitorStep:
    cdef object _result, _counts, _settings, _alert_rules, _fields
    cdef bint _keeps_events, _concerns_all
    cdef tuple _deadlines
    cdef int _stakes, _acts_on
    cdef dict _visitors, _timers, _minutes, _shop
    cdef set _stale
    cdef long long _idle_ms, _calm_ms
    cdef NewEvent* _new_events
    cdef Py_ssize_t _size, _room
    cdef Packer _packer
    cdef long long _minute_ms
    cdef tuple _by_rank

    cdef long long apply(self, object user_id, object visitor, list events) except -1
    cdef bint _take(self, object visitor, list events) except -1
    cdef bint _is_one_session(self, object visitor) except -1
    cdef bint _is_within(self, object before, long long gap_ms) except -1
    cdef bint _repeats(self, NewEvent* new_event) noexcept
    cdef int _make_room(self, Py_ssize_t size) except -1
    cdef int _go_on(self, object user_id, object visitor) except -1
    cdef object _advance(self, object head)
    cdef object _add_totals(self, object totals)
    cdef object _tail(self, object tail)
    cdef bytes _seen(self, bytes seen)
    cdef int _count(self, NewEvent* new_event) except -1
    cdef int _count_reach(self, object before, object after) except -1
    cdef object _judge(self, object user_id, object before, object predictions, object session)
    cdef bint _must_be_asked(self, object before, object alert_state, object unjudged) except -1
    cdef bint _is_at_stake(self, object before, object alert_state) except -1
    cdef long long _due_ms(self, object session, object predictions) except -2
