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
from models.next_action.prices import UNKNOWN_LEVEL
from models.trending import contribution, landmark_of
from stream.batch.step import Clock, BatchResult
from stream.components.demand import METRIC_OF_RANK, WEIGHT_OF_RANK, DemandCounter
from stream.components.deletions.screen import NOBODY, keep_out

cdef long long _LIVE_SKEW_MS = LIVE_SKEW_MS


def users_of(entries):
    """See `stream.batch.step.users_of`."""
    cdef set users = set()
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            users.add(item(event, EVENT_USER_ID))
    return users


def apply_batch(clock, entries, visitors, rules, *, level=UNKNOWN_LEVEL, forgotten=NOBODY):
    """See `stream.batch.step.apply_batch`."""
    cdef long long applied = 0, on_time = 0
    cdef list prices = []
    cdef dict grouped
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            price = item(event, EVENT_PRICE_MINOR)
            if price:
                prices.append(price)
    outcome = BatchResult(clock, level.after_all(prices))
    counter = DemandCounter(outcome.demand, rules.half_life_ms)
    stale = set()
    grouped = _group(outcome, entries, rules.session.disorder_ms + rules.lateness_ms, stale)
    if forgotten:
        outcome.count("forgotten", keep_out(grouped, entries, forgotten, rules.secret))
    cdef VisitorStep step = VisitorStep(outcome, counter, stale, rules)
    for user_id, events in grouped.items():
        on_time += len(<list>events)
        applied += step.apply(user_id, visitors.get(user_id), <list>events)
    outcome.count("applied", applied)
    outcome.count("duplicates", on_time - applied)
    _settle_demand(counter)
    return outcome


cdef dict _group(object outcome, object entries, long long slack_ms, set stale):
    """Events by visitor, as `stream.batch.step` groups them; `stale` gets the ids of those that arrived late."""
    cdef long long max_event_ms = outcome.clock[0], broker_ms = outcome.clock[1]
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
            if letter is not None:
                outcome.letters.append(letter)
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
        known = PyDict_GetItem(grouped, user_id)
        if known == NULL:
            grouped[user_id] = [event]
        else:
            (<list>known).append(event)
    outcome.clock = Clock(max_event_ms, broker_ms)
    outcome.count("late", late)
    outcome.count("rejected", len(outcome.letters))
    return grouped


cdef int _settle_demand(object counter) except -1:
    """See `stream.components.demand.DemandCounter.settle`."""
    cdef dict products, shop, scores, numbers
    cdef long long total
    cdef double worth
    cdef PyObject* known
    cdef object deltas = counter.deltas
    for minute_ms, by_rank in (<dict>counter.minutes).items():
        products = deltas.products.setdefault(minute_ms, {})
        shop = deltas.shop.setdefault(minute_ms, {})
        landmark_ms = landmark_of(minute_ms)
        scores = deltas.trend.setdefault(landmark_ms, {})
        for metric, weight, counted in zip(METRIC_OF_RANK, WEIGHT_OF_RANK, by_rank):
            numbers = counted
            if not numbers:
                continue
            worth = contribution(minute_ms, weight, landmark_ms, counter.half_life_ms)
            prefix = metric + ":"
            total = 0
            for product, number in numbers.items():
                total += <long long>number
                products[prefix + <str>product] = number
                known = PyDict_GetItem(scores, product)
                scores[product] = (<double>(<object>known) if known != NULL else 0.0) + <long long>number * worth
            shop[metric] = total
    return 0
