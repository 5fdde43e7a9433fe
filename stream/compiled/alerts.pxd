"""Alerts and predictions of a visitor. See alerts.pyx."""

from stream.compiled.new_events cimport NewEvent


cdef class AlertStep:
    cdef object _results, _rules, _tally
    cdef set _stale
    cdef tuple _deadlines
    cdef bint _concerns_all
    cdef int _stakes, _acts_on
    cdef long long _idle_ms, _calm_ms

    cdef object judge(
        self, object user_id, object before, object predictions, object session, NewEvent* new_events, Py_ssize_t size
    )
    cdef long long due_ms(self, object session, object predictions) except -2
    cdef bint _must_be_asked(
        self, object before, object alert_state, bint at_stake, NewEvent* new_events, Py_ssize_t size
    ) except -1
    cdef bint _is_at_stake(
        self, object before, object alert_state, NewEvent* new_events, Py_ssize_t size
    ) except -1
