# cython: language_level=3, boundscheck=False, wraparound=False
"""One visitor's events that go on in order with the session: the next state, and what the shop counts of them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_SIZE
from libc.string cimport memcmp, memcpy

cimport cython
from stream.compiled.carts cimport add_line, add_revenue, grow, lower_line, new_counts, read_counts
from stream.compiled.new_events cimport (
    BLAKE2B_DIGEST_BYTES,
    NewEvent,
    action_of,
    digest_bytes,
    holds,
    is_before,
    put_digest,
    rank_of,
)
from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "visitors.pxi"  # positions in named tuples, see layout.py

from contracts.keys import GRAIN_MS, Metric
from contracts.predictions import NO_PREDICTIONS, Predictions
from contracts.visitor import NO_EXTRA, Session, Tail, Totals, Visitor
from stream.batch.result import NewEvents
from stream.alerts.rules import Fact
from stream.alerts.steps import enter
from stream.batch.step import apply_events
from stream.visitors.fields import update_fields
from stream.visitors.orders import count_order
from stream.scoring.predictions import Arrival, judge_arrival
from stream.visitors.session import KEEP_ACTIONS, MAX_SEEN_BYTES, settle

need(SESSION_FIELDS == 8 and TAIL_FIELDS == 3 and TOTALS_FIELDS == 5 and VISITOR_FIELDS == 10 and PREDICTIONS_FIELDS == 3)
need(
    ACTION_AT_MS == 0 and ACTION_RANK == 1 and ACTION_DIGEST == 2 and ACTION_PRODUCT_ID == 3 and ACTION_QUANTITY == 4
    and ACTION_PRICE_MINOR == 5 and ACTION_CURRENCY == 6 and ACTION_CATEGORY == 7 and ACTION_BRAND == 8
    and ACTION_SESSION_ID == 9 and ACTION_FIELDS == 10
)  # packed in this order

cdef object _Session = Session, _Tail = Tail, _Totals = Totals, _Visitor = Visitor
cdef object _Predictions = Predictions
cdef object _NO_PREDICTIONS = NO_PREDICTIONS, _NO_EXTRA = NO_EXTRA
cdef long long _MINUTE_MS = GRAIN_MS["minute"], _SETTLED_SIZE = 2 * KEEP_ACTIONS
cdef Py_ssize_t _MAX_SEEN = MAX_SEEN_BYTES
cdef str _SESSIONS = Metric.SESSIONS, _VIEWED = Metric.SESSIONS_VIEWED
cdef int _IS_CART = Fact.CART.value, _IS_ADDED = Fact.ADDED.value
cdef int _IS_NOT_BOUGHT = Fact.NOT_BOUGHT.value, _IS_SCORED = Fact.SCORED.value
cdef str _CARTED = Metric.SESSIONS_CARTED, _BOUGHT = Metric.SESSIONS_BOUGHT


@cython.final
cdef class VisitorStep:
    """The step of one visitor after another of a batch."""

    def __init__(self, result, stale, settings):
        self._result, self._counts, self._settings, self._stale = result, result.counts, settings, stale
        self._visitors, self._timers, self._shop = result.visitors, result.timers, result.counts.shop
        self._minutes = result.counts.minutes
        self._fields, self._keeps_events = settings.visitor_fields, settings.keeps_events
        self._alert_rules, self._idle_ms = settings.alerts, settings.session.idle_ms
        calm = settings.alerts.calm
        self._calm_ms, self._concerns_all, self._deadlines = calm.silence_ms, calm.concerns_all, calm.deadlines
        self._stakes, self._acts_on = mask_of(calm.stakes), mask_of(calm.acts_on)
        self._packer = Packer()
        self._minute_ms = -1

    def __dealloc__(self):
        PyMem_Free(self._new_events)

    cdef long long apply(self, object user_id, object visitor, list events) except -1:
        """Count one visitor's events and put the new state into the outcome; how many had not been seen."""
        if not self._take(visitor, events):
            return apply_events(self._result, user_id, visitor, events, self._stale, self._settings)
        if self._size:
            self._go_on(user_id, visitor)
        return self._size

    # -- what there is to do ---------------------------------------------------------------------------

    cdef bint _take(self, object visitor, list events) except -1:
        """Note the events not seen before; False unless they go on in order with the visitor's session."""
        cdef bytes seen = b"" if visitor is None else item(visitor, VISITOR_SEEN)
        cdef const char* digests = PyBytes_AS_STRING(seen)
        cdef Py_ssize_t known = PyBytes_GET_SIZE(seen) // BLAKE2B_DIGEST_BYTES, i
        cdef NewEvent* new_event
        self._size = 0
        self._make_room(len(events))
        for event in events:
            new_event = &self._new_events[self._size]
            put_digest(item(event, EVENT_EVENT_ID), new_event.digest)
            if holds(digests, known, new_event.digest) or self._repeats(new_event):
                continue
            new_event.at_ms = item(event, EVENT_EVENT_TIME_MS)
            new_event.rank = rank_of(item(event, EVENT_EVENT_TYPE))
            new_event.event = <PyObject*>event
            if self._size and not is_before(new_event - 1, new_event):
                return False
            self._size += 1
        return not self._size or self._is_one_session(visitor)

    cdef bint _is_one_session(self, object visitor) except -1:
        cdef NewEvent newest
        if visitor is not None:
            if item(visitor, VISITOR_ENDED):
                return False
            last = item(item(visitor, VISITOR_TAIL), TAIL_LAST)
            newest.at_ms, newest.rank = item(last, 0), item(last, 1)
            memcpy(newest.digest, PyBytes_AS_STRING(item(last, 2)), BLAKE2B_DIGEST_BYTES)
            if not is_before(&newest, &self._new_events[0]):
                return False
        return self._is_within(visitor, self._idle_ms)

    cdef bint _is_within(self, object before, long long gap_ms) except -1:
        """Whether no silence before or between the events was longer than `gap_ms`."""
        cdef long long last_ms = self._new_events[0].at_ms
        cdef Py_ssize_t i
        if before is not None:
            last_ms = item(item(before, VISITOR_HEAD), SESSION_LAST_MS)
        for i in range(self._size):
            if self._new_events[i].at_ms - last_ms > gap_ms:
                return False
            last_ms = self._new_events[i].at_ms
        return True

    cdef bint _repeats(self, NewEvent* new_event) noexcept:
        cdef Py_ssize_t i
        for i in range(self._size):
            if memcmp(self._new_events[i].digest, new_event.digest, BLAKE2B_DIGEST_BYTES) == 0:
                return True
        return False

    cdef int _make_room(self, Py_ssize_t size) except -1:
        cdef NewEvent* new_events
        if size > self._room:
            new_events = <NewEvent*>PyMem_Realloc(self._new_events, 2 * size * sizeof(NewEvent))
            if new_events == NULL:
                raise MemoryError()
            self._new_events, self._room = new_events, 2 * size
        return 0

    # -- the state -------------------------------------------------------------------------------------

    cdef int _go_on(self, object user_id, object visitor) except -1:
        """See `stream.batch.step.apply_events` and `stream.visitors.session.absorb`, for events in order in one session."""
        cdef NewEvent* new_event
        cdef Py_ssize_t i
        cdef long long timer_ms = 0, due_ms
        cdef bint is_due
        cdef dict orders = {} if visitor is None else item(visitor, VISITOR_ORDERS)
        base = head = totals = None
        predictions = _NO_PREDICTIONS
        if visitor is not None:
            totals, base = item(visitor, VISITOR_TOTALS), item(visitor, VISITOR_BASE)
            head, timer_ms = item(visitor, VISITOR_HEAD), item(visitor, VISITOR_TIMER_MS)
            predictions = item(visitor, VISITOR_PREDICTIONS)
        for i in range(self._size):
            new_event = &self._new_events[i]
            if new_event.rank == RANK_PURCHASE:
                orders = count_order(self._counts, orders, <object>new_event.event)
            self._count(new_event)
        session = self._advance(head)
        self._count_reach(head, session)
        tail = self._tail(None if visitor is None else item(visitor, VISITOR_TAIL))
        predictions = self._judge(user_id, visitor, predictions, session)
        due_ms = self._due_ms(session, predictions)
        is_due = 0 < due_ms and not 0 < timer_ms <= due_ms
        if is_due:
            timer_ms = due_ms

        extra = _NO_EXTRA if visitor is None else item(visitor, VISITOR_EXTRA)
        if self._fields or self._keeps_events:
            events = [<object>self._new_events[i].event for i in range(self._size)]
            if self._fields:
                extra = update_fields(self._fields, visitor, events)
            if self._keeps_events:
                self._result.new_events.append(NewEvents(user_id, visitor, events))

        after = new_tuple(_Visitor, VISITOR_FIELDS)
        set_item(after, VISITOR_TOTALS, self._add_totals(totals))
        set_item(after, VISITOR_BASE, base)
        set_item(after, VISITOR_HEAD, session)
        set_item(after, VISITOR_TAIL, tail)
        set_item(after, VISITOR_ENDED, False)
        set_item(after, VISITOR_TIMER_MS, timer_ms)
        set_item(after, VISITOR_SEEN, self._seen(b"" if visitor is None else item(visitor, VISITOR_SEEN)))
        set_item(after, VISITOR_ORDERS, orders)
        set_item(after, VISITOR_PREDICTIONS, predictions)
        set_item(after, VISITOR_EXTRA, extra)
        if item(tail, TAIL_SIZE) > _SETTLED_SIZE:
            after = settle(after, self._settings.session)
        if due_ms < 0:
            self._result.put(user_id, after, self._alert_rules)
        else:
            self._visitors[user_id] = after
            if is_due:
                self._timers[user_id] = item(after, VISITOR_TIMER_MS)
        return 0

    cdef object _advance(self, object head):
        """See `stream.visitors.session.advance`."""
        cdef long long[RANKS] counts
        cdef long long units = 0
        cdef NewEvent* new_event = self._new_events
        cdef Py_ssize_t i
        cdef dict revenue, cart
        cdef bint is_copied = head is None
        if head is None:
            session_id, number, start_ms, revenue, cart = None, 1, new_event.at_ms, {}, {}
            for i in range(RANKS):
                counts[i] = 0
        else:
            session_id, number = item(head, SESSION_SESSION_ID), item(head, SESSION_NUMBER)
            start_ms = item(head, SESSION_START_MS)
            units, revenue = item(head, SESSION_UNITS), item(head, SESSION_REVENUE_MINOR)
            cart = item(head, SESSION_CART)
            read_counts(item(head, SESSION_COUNTS), counts)
        for i in range(self._size):
            new_event = &self._new_events[i]
            counts[new_event.rank] += 1
            event = <object>new_event.event
            given_id = item(event, EVENT_SESSION_ID)
            if given_id is not None:
                session_id = given_id
            if new_event.rank < RANK_CART:
                continue
            if not is_copied:
                revenue, cart, is_copied = revenue.copy(), cart.copy(), True
            product = item(event, EVENT_PRODUCT_ID)
            if new_event.rank == RANK_CART:
                add_line(cart, product, event)
            elif new_event.rank == RANK_REMOVE_FROM_CART:
                lower_line(cart, product, item(event, EVENT_QUANTITY))
            else:
                cart.pop(product, None)
                units += <long long>item(event, EVENT_QUANTITY)
                add_revenue(revenue, event)
        session = new_tuple(_Session, SESSION_FIELDS)
        set_item(session, SESSION_SESSION_ID, session_id)
        set_item(session, SESSION_NUMBER, number)
        set_item(session, SESSION_START_MS, start_ms)
        set_item(session, SESSION_LAST_MS, new_event.at_ms)
        set_item(session, SESSION_COUNTS, new_counts(counts))
        set_item(session, SESSION_UNITS, units)
        set_item(session, SESSION_REVENUE_MINOR, revenue)
        set_item(session, SESSION_CART, cart)
        return session

    cdef object _add_totals(self, object totals):
        """What `stream.visitors.session` adds to the sums over everything a visitor did."""
        cdef long long[RANKS] counts
        cdef long long units = 0
        cdef NewEvent* new_event = self._new_events
        cdef Py_ssize_t i
        cdef dict revenue
        cdef bint is_copied = totals is None
        first_ms, last_ms = new_event.at_ms, self._new_events[self._size - 1].at_ms
        if totals is None:
            revenue = {}
            for i in range(RANKS):
                counts[i] = 0
        else:
            if item(totals, TOTALS_FIRST_MS) < first_ms:
                first_ms = item(totals, TOTALS_FIRST_MS)
            if item(totals, TOTALS_LAST_MS) > last_ms:
                last_ms = item(totals, TOTALS_LAST_MS)
            units, revenue = item(totals, TOTALS_UNITS), item(totals, TOTALS_REVENUE_MINOR)
            read_counts(item(totals, TOTALS_COUNTS), counts)
        for i in range(self._size):
            new_event = &self._new_events[i]
            counts[new_event.rank] += 1
            if new_event.rank == RANK_PURCHASE:
                event = <object>new_event.event
                units += <long long>item(event, EVENT_QUANTITY)
                if not is_copied:
                    revenue, is_copied = revenue.copy(), True
                add_revenue(revenue, event)
        after = new_tuple(_Totals, TOTALS_FIELDS)
        set_item(after, TOTALS_FIRST_MS, first_ms)
        set_item(after, TOTALS_LAST_MS, last_ms)
        set_item(after, TOTALS_COUNTS, new_counts(counts))
        set_item(after, TOTALS_UNITS, units)
        set_item(after, TOTALS_REVENUE_MINOR, revenue)
        return after

    cdef object _tail(self, object tail):
        """The tail with the actions at its end, packed as `contracts.visitor.pack_actions` does it."""
        cdef Packer packer = self._packer
        cdef NewEvent* new_event = self._new_events
        cdef Py_ssize_t i
        cdef bytes before
        packer.size = 0
        size = self._size
        if tail is not None:
            before = item(tail, TAIL_PACKED)
            packer.put_raw(PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
            size += item(tail, TAIL_SIZE)
        for i in range(self._size):
            new_event = &self._new_events[i]
            event = <object>new_event.event
            packer.put_array(ACTION_FIELDS)
            packer.put_int(new_event.at_ms)
            packer.put_int(new_event.rank)
            packer.put_bytes(<char*>new_event.digest, BLAKE2B_DIGEST_BYTES)
            packer.put(item(event, EVENT_PRODUCT_ID))
            packer.put(item(event, EVENT_QUANTITY))
            packer.put(item(event, EVENT_PRICE_MINOR))
            packer.put(item(event, EVENT_CURRENCY))
            packer.put(item(event, EVENT_CATEGORY))
            packer.put(item(event, EVENT_BRAND))
            packer.put(item(event, EVENT_SESSION_ID))
        after = new_tuple(_Tail, TAIL_FIELDS)
        set_item(after, TAIL_PACKED, packer.taken())
        set_item(after, TAIL_SIZE, size)
        set_item(after, TAIL_LAST, (new_event.at_ms, new_event.rank, digest_bytes(new_event)))
        return after

    cdef bytes _seen(self, bytes seen):
        """Digests seen, the newest last, at most `MAX_SEEN_BYTES` of them."""
        cdef Py_ssize_t before = PyBytes_GET_SIZE(seen), added = self._size * BLAKE2B_DIGEST_BYTES, i
        cdef Py_ssize_t cut = max(0, before + added - _MAX_SEEN)
        cdef bytes after
        cdef char* at
        if cut > before:  # as many new ones as are kept: rare enough to be done simply
            return (seen + b"".join([digest_bytes(&self._new_events[i]) for i in range(self._size)]))[-_MAX_SEEN:]
        after = PyBytes_FromStringAndSize(NULL, before + added - cut)
        at = PyBytes_AS_STRING(after)
        memcpy(at, PyBytes_AS_STRING(seen) + cut, before - cut)
        at += before - cut
        for i in range(self._size):
            memcpy(at + i * BLAKE2B_DIGEST_BYTES, self._new_events[i].digest, BLAKE2B_DIGEST_BYTES)
        return after

    # -- what the shop counts --------------------------------------------------------------------------

    cdef int _count(self, NewEvent* new_event) except -1:
        """See `stream.batch.counts.Counts.count`."""
        cdef long long minute_ms = new_event.at_ms - new_event.at_ms % _MINUTE_MS
        cdef dict products
        event = <object>new_event.event
        product = item(event, EVENT_PRODUCT_ID)
        if minute_ms != self._minute_ms:
            by_rank = self._minutes.get(minute_ms)
            if by_rank is None:
                by_rank = self._minutes[minute_ms] = ({}, {}, {}, {}, {})
            self._by_rank, self._minute_ms = by_rank, minute_ms
        products = <dict>item(self._by_rank, new_event.rank)
        grow(products, product, 1)
        if new_event.rank == RANK_PURCHASE:
            self._counts.count_sale(
                minute_ms, product, item(event, EVENT_QUANTITY), item(event, EVENT_PRICE_MINOR),
                item(event, EVENT_CURRENCY),
            )
        return 0

    cdef int _count_reach(self, object before, object after) except -1:
        """See `stream.visitors.session_counts.session_counts`, for a session that begins or goes on."""
        cdef long long[RANKS] had
        cdef long long[RANKS] has
        cdef long long start_ms
        cdef Py_ssize_t i
        read_counts(item(after, SESSION_COUNTS), has)
        if before is None:
            for i in range(RANKS):
                had[i] = 0
        else:
            read_counts(item(before, SESSION_COUNTS), had)
        viewed = not (had[RANK_VIEW] or had[RANK_FAVORITE]) and (has[RANK_VIEW] or has[RANK_FAVORITE])
        carted, bought = not had[RANK_CART] and has[RANK_CART], not had[RANK_PURCHASE] and has[RANK_PURCHASE]
        if before is not None and not viewed and not carted and not bought:
            return 0
        start_ms = item(after, SESSION_START_MS)
        minute_ms = start_ms - start_ms % _MINUTE_MS
        fields = self._shop.get(minute_ms)
        if fields is None:
            fields = self._shop[minute_ms] = {}
        if before is None:
            grow(<dict>fields, _SESSIONS, 1)
        if viewed:
            grow(<dict>fields, _VIEWED, 1)
        if carted:
            grow(<dict>fields, _CARTED, 1)
        if bought:
            grow(<dict>fields, _BOUGHT, 1)
        return 0

    # -- what is expected of the visitor ---------------------------------------------------------------

    cdef object _judge(self, object user_id, object before, object predictions, object session):
        """See `stream.scoring.predictions.judge_arrival`."""
        cdef list actions, stale
        cdef Py_ssize_t i
        alert_state, unjudged = item(predictions, PREDICTIONS_ALERT_STATE), item(predictions, PREDICTIONS_UNJUDGED)
        event_id = item(<object>self._new_events[self._size - 1].event, EVENT_EVENT_ID)
        if self._must_be_asked(before, alert_state, unjudged):
            actions = [action_of(&self._new_events[i]) for i in range(self._size)]
            stale = []
            if self._stale:
                stale = [
                    digest_bytes(&self._new_events[i])
                    for i in range(self._size)
                    if item(<object>self._new_events[i].event, EVENT_EVENT_ID) in self._stale
                ]
            arrival = Arrival(before, actions, stale)
            return judge_arrival(self._result.prediction_results, user_id, arrival, self._alert_rules)
        live = not (self._stale and event_id in self._stale)
        after = alert_state
        if self._is_at_stake(before, alert_state):
            after = enter_session(after, session)
        if item(after, VISITOR_ALERTS_LIVE) is not live:
            after = copy_tuple(after)
            replace_item(after, VISITOR_ALERTS_LIVE, live)
        if after is alert_state:
            return predictions
        judged = new_tuple(_Predictions, PREDICTIONS_FIELDS)
        set_item(judged, PREDICTIONS_SCORE, item(predictions, PREDICTIONS_SCORE))
        set_item(judged, PREDICTIONS_ALERT_STATE, after)
        set_item(judged, PREDICTIONS_UNJUDGED, unjudged)
        return judged

    cdef bint _must_be_asked(self, object before, object alert_state, object unjudged) except -1:
        """Whether a rule may decide something, or a prediction be judged; see `stream.alerts.registry.Calm`."""
        cdef Py_ssize_t i
        if self._concerns_all or item(alert_state, VISITOR_ALERTS_OPEN):
            return True
        if item(unjudged, UNJUDGED_WAITING) or item(unjudged, UNJUDGED_PENDING):
            return True
        if self._acts_on:
            for i in range(self._size):
                if self._acts_on >> self._new_events[i].rank & 1:
                    return True
        return not self._is_within(before, self._calm_ms)

    cdef bint _is_at_stake(self, object before, object alert_state) except -1:
        """See `stream.alerts.steps`: whether these events can matter to alerts."""
        cdef Py_ssize_t i
        if has_intent(alert_state):
            return True
        if before is not None and item(item(before, VISITOR_HEAD), SESSION_CART):
            return True
        for i in range(self._size):
            if self._stakes >> self._new_events[i].rank & 1:
                return True
        return False

    cdef long long _due_ms(self, object session, object predictions) except -2:
        """See `stream.scoring.predictions.timer_of`; -1 where it must be asked itself."""
        cdef long long last_ms = item(session, SESSION_LAST_MS), due_ms = last_ms + self._idle_ms, at_ms
        cdef int facts, needs
        score, alert_state = item(predictions, PREDICTIONS_SCORE), item(predictions, PREDICTIONS_ALERT_STATE)
        if self._concerns_all or item(alert_state, VISITOR_ALERTS_OPEN):
            return -1
        if not item(session, SESSION_CART) and not has_intent(alert_state):
            return due_ms
        counts = item(session, SESSION_COUNTS)
        facts = _IS_CART if item(session, SESSION_CART) else 0
        if item(counts, RANK_CART):
            facts |= _IS_ADDED
        if not item(counts, RANK_PURCHASE):
            facts |= _IS_NOT_BOUGHT
        if score is not None and item(score, SCORE_AT_MS) == last_ms:
            facts |= _IS_SCORED
        for deadline in self._deadlines:
            kind, after_ms, needs, is_enough = deadline
            if facts & needs != needs:
                continue
            at_ms = last_ms + <long long>after_ms
            kept = (<dict>item(alert_state, VISITOR_ALERTS_KINDS)).get(kind)
            if kept is not None:
                if at_ms < <long long>item(kept, KIND_STATE_QUIET_UNTIL_MS):
                    continue
                if at_ms <= <long long>item(kept, KIND_STATE_LOOKED_MS):
                    continue
            if not is_enough:
                return -1
            due_ms = min(due_ms, at_ms)
        return due_ms


# -- states of alerts ---------------------------------------------------------------------------------------


cdef int mask_of(object ranks) except -1:
    """A bit per rank."""
    cdef int mask = 0
    for rank in ranks:
        mask |= 1 << <int>rank
    return mask


cdef bint has_intent(object alert_state) except -1:
    """See `stream.alerts.steps.has_intent`."""
    cdef dict kinds = item(alert_state, VISITOR_ALERTS_KINDS)
    if kinds:
        for kept in kinds.values():
            if item(kept, KIND_STATE_INTENT):
                return True
    return False


cdef object enter_session(object alert_state, object session):
    """See `stream.alerts.steps.enter`."""
    cdef long long number = item(alert_state, VISITOR_ALERTS_SESSION), number_now = item(session, SESSION_NUMBER)
    if item(session, SESSION_START_MS) > item(alert_state, VISITOR_ALERTS_SESSION_START_MS):
        if item(alert_state, VISITOR_ALERTS_KINDS):
            return enter(alert_state, session)
        after = copy_tuple(alert_state)
        replace_item(after, VISITOR_ALERTS_SESSION_START_MS, item(session, SESSION_START_MS))
        if number_now > number:
            replace_item(after, VISITOR_ALERTS_SESSION, number_now)
        return after
    if number_now <= number:
        return alert_state
    after = copy_tuple(alert_state)
    replace_item(after, VISITOR_ALERTS_SESSION, number_now)
    return after


cdef object copy_tuple(object alert_state):
    """A copy of a named tuple that nobody has seen yet, so that its items may be replaced."""
    cdef Py_ssize_t i, size = PyTuple_GET_SIZE(alert_state)
    after = new_tuple(type(alert_state), size)
    for i in range(size):
        set_item(after, i, item(alert_state, i))
    return after


cdef int replace_item(object fresh, Py_ssize_t place, object value) except -1:
    Py_DECREF(item(fresh, place))
    set_item(fresh, place, value)
    return 0
