# cython: language_level=3, boundscheck=False, wraparound=False
"""The pure batch step, as `stream.batch.step.apply_batch` makes it.

Visitors whose events go on in order with their session are taken in visitors.pyx; those with late events, or of
whom a session ended, go the way that defines the step. So do alerts and predictions wherever any are at stake.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

from stream.compiled.tuples cimport item
from stream.compiled.visitors cimport VisitorStep

include "batch.pxi"  # positions in named tuples, see layout.py

from contracts.clock import LIVE_SKEW_MS
from stream.batch.step import Clock, BatchResult, Forward, follow, screen_forwards, take_statements

cdef long long _LIVE_SKEW_MS = LIVE_SKEW_MS


def users_of(entries):
    """See `stream.batch.step.users_of`."""
    cdef set users = set()
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            users.add(item(event, EVENT_USER_ID))
    return users


def apply_batch(clock, entries, visitors, settings, *, screens=()):
    """See `stream.batch.step.apply_batch`."""
    cdef long long applied = 0, on_time = 0
    cdef list prices = []
    cdef dict grouped
    cdef set named = set()
    result = BatchResult(clock, visitors)
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            price = item(event, EVENT_PRICE_MINOR)
            if price and item(event, EVENT_PRODUCT_ID):
                prices.append(price)
    result.counts.prices = prices
    stale = set()
    grouped = _group(result, entries, settings.session.disorder_ms + settings.lateness_ms, stale, named)
    for screen in screens:
        for counter, number in screen(grouped, entries).items():
            result.count(counter, number)
    screen_forwards(result, entries, screens)
    cdef VisitorStep step = VisitorStep(result, stale, settings)
    for user_id, events in grouped.items():
        on_time += len(<list>events)
        visitor = visitors.get(user_id)
        if not named or user_id not in named:
            applied += step.apply(user_id, visitor, <list>events)
            continue
        followed = follow(result, visitor, events, settings)
        applied += step.apply(user_id, visitor, <list>followed.events)
        applied += take_statements(result, user_id, visitor, followed, settings)
    result.count("applied", applied)
    result.count("duplicates", on_time - applied)
    return result


cdef dict _group(object result, object entries, long long slack_ms, set stale, set named):
    """Events by visitor, as `stream.batch.step` groups them.

    `stale` gets the ids of those that arrived late, `named` visitors of whom an event names a device.
    """
    cdef long long max_event_ms = result.clock[0], broker_ms = result.clock[1]
    cdef long long at_ms, record_ms, moment, late = 0
    cdef dict grouped = {}
    cdef list events
    cdef PyObject* known
    for entry in entries:
        record_ms = item(entry, ENTRY_BROKER_MS)
        if record_ms > broker_ms:
            broker_ms = record_ms
        event = item(entry, ENTRY_EVENT)
        if event is None:
            letter = item(entry, ENTRY_LETTER)
            if type(letter) is Forward:
                result.forwards.append(letter)
            elif letter is not None:
                result.letters.append(letter)
            continue
        at_ms = item(entry, ENTRY_AT_MS)
        moment = at_ms if at_ms < record_ms else record_ms
        if moment > max_event_ms:
            max_event_ms = moment
        elif at_ms < max_event_ms - slack_ms:
            late += 1
            continue
        if record_ms - at_ms >= _LIVE_SKEW_MS:
            stale.add(item(event, EVENT_EVENT_ID))
        user_id = item(event, EVENT_USER_ID)
        if item(event, EVENT_CUSTOMER_ID) is not None:
            named.add(user_id)
        known = PyDict_GetItem(grouped, user_id)
        if known == NULL:
            grouped[user_id] = [event]
        else:
            (<list>known).append(event)
    result.clock = Clock(max_event_ms, broker_ms)
    result.count("late", late)
    result.count("rejected", len(result.letters))
    return grouped
