# cython: language_level=3, boundscheck=False, wraparound=False
"""Predictions against what visitors then do, as `stream.scoring.prequential` judges them.

Here are the next action and the purchase of a session that goes on; ends of sessions go the way that defines them.
"""

from cpython.tuple cimport PyTuple_GET_SIZE

from stream.compiled.carts cimport grow
from stream.compiled.new_events cimport NewEvent
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "judging.pxi"  # positions in named tuples, see layout.py

from contracts.buckets import GRAIN_MS
from contracts.scores import SCALE, Pending, Unjudged
from models.next_action.actions import TARGET_OF_RANK
from models.quality import BINS, NO_MODEL, Quality
from stream.scoring.prequential import MAX_WAITING, _costs, _loss, _settle

cdef enum:
    OUTCOMES = 5  # next actions, leaving included
    N_BINS = 10
    N_PARTS = 10_000  # SCALE

need(SCALE == N_PARTS and BINS == N_BINS and <int>RANKS == <int>OUTCOMES and UNJUDGED_FIELDS == 4 and PENDING_FIELDS == 6)

cdef object _Unjudged = Unjudged, _Pending = Pending
cdef long long _MINUTE_MS = GRAIN_MS["minute"]
cdef Py_ssize_t _MOST_WAITING = MAX_WAITING
cdef int[RANKS] _TARGETS
for _rank in range(RANKS):
    _TARGETS[_rank] = TARGET_OF_RANK[_rank]
cdef long long[N_PARTS + 1] _LOSSES
cdef long long[N_PARTS + 1] _BRIERS
for _part in range(N_PARTS + 1):
    _LOSSES[_part] = _loss(_part)
    _BRIERS[_part] = _costs(_part)[3]
cdef dict _FIELDS = {}  # model version to the names of its counters


cdef tuple fields_of(object version):
    """Names of counters: confusions by prediction and outcome, the loss, then of each bin what is counted there."""
    names = _FIELDS.get(version)
    if names is None:
        suffix = f":{version or NO_MODEL}"
        confusions = [f"{Quality.CONFUSION}{p}{t}{suffix}" for p in range(OUTCOMES) for t in range(OUTCOMES)]
        bins = [f"{Quality.CONFIDENCE}{kind}{b}{suffix}" for b in range(N_BINS) for kind in "npy"]
        if len(_FIELDS) > 100:  # models come and go
            _FIELDS.clear()
        names = _FIELDS[version] = (*confusions, f"{Quality.LOSS}{suffix}", *bins)
    return names


cdef inline int bin_of(long long parts) noexcept:
    return <int>min(N_BINS - 1, parts * N_BINS // N_PARTS)


cdef object judge_session(object tally, object unjudged, NewEvent* new_events, Py_ssize_t size):
    """See `_judge_session`, for events that go on with the session."""
    cdef Py_ssize_t i
    cdef tuple waiting = item(unjudged, UNJUDGED_WAITING)
    if waiting:
        judge_next(tally, waiting, _TARGETS[new_events[0].rank], new_events[0].at_ms)
        unjudged = unjudged_of((), item(unjudged, UNJUDGED_PENDING), unjudged)
    if item(unjudged, UNJUDGED_PENDING):
        for i in range(size):
            if new_events[i].rank == RANK_PURCHASE:
                return _settle(unjudged, new_events[i].at_ms, tally, bought=True)
    return unjudged


cdef int judge_next(object tally, tuple waiting, int target, long long at_ms) except -1:
    """See `_judge_next`."""
    cdef long long confidence, part, given = 0
    cdef int place, predicted
    cdef Py_ssize_t first
    cdef tuple names
    cdef dict minutes = tally.minutes
    cdef list errors = tally.errors
    minute_ms = at_ms - at_ms % _MINUTE_MS
    fields = minutes.get(minute_ms)
    if fields is None:
        fields = minutes[minute_ms] = {}
    for version, parts in waiting:
        confidence, predicted = -1, 0
        for place in range(OUTCOMES):
            part = item(parts, place)
            if part > confidence:
                confidence, predicted = part, place
            if place == target:
                given = part
        names = fields_of(version)
        first = OUTCOMES * OUTCOMES + 1 + 3 * bin_of(confidence)
        grow(fields, item(names, predicted * OUTCOMES + target), 1)
        grow(fields, item(names, OUTCOMES * OUTCOMES), _LOSSES[given])
        grow(fields, item(names, first), 1)
        grow(fields, item(names, first + 1), confidence)
        if predicted == target:
            grow(fields, item(names, first + 2), 1)
        errors.append(1 - given / <double>N_PARTS)
    return 0


cdef object unjudged_of(object waiting, object pending, object before):
    after = new_tuple(_Unjudged, UNJUDGED_FIELDS)
    set_item(after, UNJUDGED_WAITING, waiting)
    set_item(after, UNJUDGED_PENDING, pending)
    set_item(after, UNJUDGED_VERSION, item(before, UNJUDGED_VERSION))
    set_item(after, UNJUDGED_CLOSED, item(before, UNJUDGED_CLOSED))
    return after


cdef object expect(object unjudged, bint ended, object version, long long* parts, long long purchase):
    """See `expect`: `parts` and `purchase` are those of a score in 1/SCALE."""
    cdef tuple waiting = item(unjudged, UNJUDGED_WAITING), pending = item(unjudged, UNJUDGED_PENDING)
    if ended or PyTuple_GET_SIZE(waiting) >= _MOST_WAITING:
        return unjudged
    others, mine = (), None
    for sums in pending:
        if item(sums, PENDING_VERSION) == version:
            mine = sums
        else:
            others = (*others, sums)
    distribution = (parts[0], parts[1], parts[2], parts[3], parts[4])
    after = new_tuple(_Unjudged, UNJUDGED_FIELDS)
    set_item(after, UNJUDGED_WAITING, (*waiting, (version, distribution)))
    set_item(after, UNJUDGED_PENDING, (*others, grow_pending(mine, version, purchase)))
    set_item(after, UNJUDGED_VERSION, version)
    set_item(after, UNJUDGED_CLOSED, item(unjudged, UNJUDGED_CLOSED))
    return after


cdef object grow_pending(object sums, object version, long long purchase):
    """See `_grow`; `sums` is None where there are none of this version."""
    cdef long long[4] totals
    cdef int i
    for i in range(4):
        totals[i] = 0 if sums is None else item(sums, PENDING_LOSS_IF_BOUGHT + i)
    totals[0] += _LOSSES[purchase]
    totals[1] += _LOSSES[N_PARTS - purchase]
    totals[2] += _BRIERS[N_PARTS - purchase]
    totals[3] += _BRIERS[purchase]
    after = new_tuple(_Pending, PENDING_FIELDS)
    set_item(after, PENDING_VERSION, version)
    for i in range(4):
        set_item(after, PENDING_LOSS_IF_BOUGHT + i, totals[i])
    set_item(after, PENDING_BINS, count_in(() if sums is None else item(sums, PENDING_BINS), purchase))
    return after


cdef tuple count_in(tuple bins, long long purchase):
    """See `_count_in`."""
    cdef int mine = bin_of(purchase)
    cdef Py_ssize_t place
    cdef long long b
    for place in range(PyTuple_GET_SIZE(bins)):
        counted = item(bins, place)
        b = item(counted, 0)
        if b == mine:
            now = (item(counted, 0), <long long>item(counted, 1) + 1, <long long>item(counted, 2) + purchase)
            return (*bins[:place], now, *bins[place + 1 :])
        if b > mine:
            return (*bins[:place], (mine, 1, purchase), *bins[place:])
    return (*bins, (mine, 1, purchase))
