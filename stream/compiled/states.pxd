"""The parts of a visitor's next state. See states.pyx."""

from stream.compiled.new_events cimport NewEvent
from stream.compiled.packing cimport Packer


cdef object advance(object head, NewEvent* new_events, Py_ssize_t size)
cdef object add_totals(object totals, NewEvent* new_events, Py_ssize_t size)
cdef object add_actions(object tail, NewEvent* new_events, Py_ssize_t size, Packer packer)
cdef bytes add_digests(bytes seen, NewEvent* new_events, Py_ssize_t size)
