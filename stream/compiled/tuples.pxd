"""Named tuples made without their constructors: a tenth of what calling the class takes."""

from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_SET_ITEM


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        object (*tp_alloc)(PyTypeObject*, Py_ssize_t)


cdef inline object new_tuple(object cls, Py_ssize_t size):
    """An instance of a subclass of tuple whose items are to be set, each once, before anybody sees it."""
    return (<PyTypeObject*>cls).tp_alloc(<PyTypeObject*>cls, size)


cdef inline void set_item(object target, Py_ssize_t place, object value):
    Py_INCREF(value)
    PyTuple_SET_ITEM(target, place, value)


cdef inline object item(object source, Py_ssize_t place):
    """An item of a tuple, named or not."""
    return <object>PyTuple_GET_ITEM(source, place)


cdef inline int need(bint holds) except -1:
    """Called while a module is imported, for what its code takes for granted about a layout."""
    if not holds:
        raise ImportError("a named tuple has other fields than the compiled steps know")
    return 0
