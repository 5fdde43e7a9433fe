# cython: language_level=3, boundscheck=False, wraparound=False
"""Merging the topics of a partition by event time, as `stream.batch.merge.merge_heads` does it."""

from stream.compiled.tuples cimport item

include "merge.pxi"  # positions in named tuples, see layout.py

cdef long long _FOREVER_MS = 0x7fffffffffffffff


def merge_heads(buffers, order, *, awaited, Py_ssize_t limit):
    """See `stream.batch.merge.merge_heads`."""
    cdef list merged = [], filled = [topic for topic in order if buffers[topic]]
    cdef dict last = {}
    cdef long long until_ms, head_ms, best_ms
    for topic in order:
        if topic in awaited and topic not in filled:
            return merged, last
    while filled and len(merged) < limit:
        best, best_ms, until_ms = None, 0, _FOREVER_MS
        for topic in filled:
            head_ms = _at_ms(buffers[topic][0])
            if best is None:
                best, best_ms = topic, head_ms
            elif head_ms < best_ms:
                best, best_ms, until_ms = topic, head_ms, best_ms - 1
            else:
                until_ms = min(until_ms, head_ms)
        buffer = buffers[best]
        _take(buffer, until_ms, limit, merged)
        last[best] = item(merged[len(merged) - 1], ENTRY_OFFSET)
        if not buffer:
            if best in awaited:
                break
            filled.remove(best)
    return merged, last


cdef int _take(object buffer, long long until_ms, Py_ssize_t limit, list merged) except -1:
    """Move entries up to `until_ms` from the head of a buffer to the merged ones."""
    take = buffer.popleft
    cdef Py_ssize_t size = min(<Py_ssize_t>len(buffer), limit - len(merged)), i
    for i in range(size):
        if _at_ms(buffer[0]) > until_ms:
            break
        merged.append(take())
    return 0


cdef inline long long _at_ms(object entry) except? -1:
    return item(entry, ENTRY_AT_MS)
