"""Predictions of a visitor that are judged, and those that wait to be. See judging.pyx."""

from stream.compiled.new_events cimport NewEvent

cdef object judge_session(object tally, object unjudged, NewEvent* new_events, Py_ssize_t size)
cdef object expect(object unjudged, bint ended, object version, long long* parts, long long purchase)
