# cython: language_level=3, boundscheck=False, wraparound=False
"""One visitor's events that go on in order with the session: the next state, and what the shop counts of them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memcmp, memcpy

cimport cython
from stream.compiled.alerts cimport AlertStep
from stream.compiled.carts cimport grow, read_counts
from stream.compiled.new_events cimport (
    BLAKE2B_DIGEST_BYTES,
    NewEvent,
    holds,
    is_before,
    is_within,
    put_digest,
    rank_of,
)
from stream.compiled.orders cimport take_line
from stream.compiled.packing cimport Packer
from stream.compiled.states cimport add_actions, add_digests, add_totals, advance
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "visitors.pxi"  # positions in named tuples, see layout.py

from contracts.events import EventType
from contracts.buckets import GRAIN_MS, Metric
from contracts.numbers import MAX_SUM_MINOR
from contracts.predictions import NO_PREDICTIONS
from contracts.visitor import NO_EXTRA, Visitor
from contracts.visitor_refunds import REFUNDS
from stream.batch.result import NewEvents
from stream.batch.step import apply_events
from stream.visitors.fields import update_fields
from stream.visitors.session import KEEP_ACTIONS, settle

need(VISITOR_FIELDS == 10 and RANKS == 5)

cdef object _Visitor = Visitor, _NO_PREDICTIONS = NO_PREDICTIONS, _NO_EXTRA = NO_EXTRA
cdef object _PURCHASE = EventType.PURCHASE, _REFUND = EventType.REFUND
cdef str _REFUNDS = REFUNDS
cdef long long _MINUTE_MS = GRAIN_MS["minute"], _SETTLED_SIZE = 2 * KEEP_ACTIONS
cdef str _SESSIONS = Metric.SESSIONS, _VIEWED = Metric.SESSIONS_VIEWED
cdef str _CARTED = Metric.SESSIONS_CARTED, _BOUGHT = Metric.SESSIONS_BOUGHT
cdef str _UNITS = Metric.UNITS, _UNITS_OF = Metric.UNITS + ":", _REVENUE = Metric.REVENUE, _ORDERS = Metric.ORDERS
cdef long long _MAX_SUM = MAX_SUM_MINOR


@cython.final
cdef class VisitorStep:
    """The step of one visitor after another of a batch."""

    def __init__(self, result, stale, settings):
        self._result, self._settings, self._stale = result, settings, stale
        self._visitors, self._timers, self._shop = result.visitors, result.timers, result.counts.shop
        self._minutes, self._sales = result.counts.minutes, result.counts.products
        self._categories = result.counts.categories
        self._purchases, self._currencies = result.counts.purchases, result.counts.currencies
        self._fields, self._keeps_events = settings.visitor_fields, settings.keeps_events
        self._alert_rules, self._idle_ms = settings.alerts, settings.session.idle_ms
        self._alerts = AlertStep(result.prediction_results, stale, settings.alerts)
        self._packer = Packer()
        self._minute_ms = -1

    def __dealloc__(self):
        PyMem_Free(self._new_events)

    cdef long long apply(self, object user_id, object visitor, list events) except -1:
        """Count one visitor's events and put the new state into the result; how many had not been seen."""
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
        self._lines, self._orders = None, {} if visitor is None else item(visitor, VISITOR_ORDERS)
        self._make_room(len(events))
        for event in events:
            new_event = &self._new_events[self._size]
            put_digest(item(event, EVENT_EVENT_ID), new_event.digest)
            if holds(digests, known, new_event.digest) or self._repeats(new_event):
                continue
            event_type = item(event, EVENT_EVENT_TYPE)
            if event_type is _REFUND or not item(event, EVENT_PRODUCT_ID):
                return False
            if event_type is _PURCHASE:
                if self._lines is None and visitor is not None and _REFUNDS in item(visitor, VISITOR_EXTRA):
                    return False
                if not self._take_line(event):
                    continue
            new_event.at_ms = item(event, EVENT_EVENT_TIME_MS)
            new_event.rank = rank_of(event_type)
            new_event.event = <PyObject*>event
            if self._size and not is_before(new_event - 1, new_event):
                return False
            self._size += 1
        return not self._size or self._is_one_session(visitor)

    cdef bint _take_line(self, object event) except -1:
        """Note a purchase among the visitor's orders; False for a line that they have already."""
        if self._lines is None:
            self._lines, self._orders = [], self._orders.copy()
        line = take_line(self._orders, event)
        if line is not None:
            self._lines.append(line)
        return line is not None

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
        return is_within(visitor, self._new_events, self._size, self._idle_ms)

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
        cdef Py_ssize_t i
        cdef long long timer_ms = 0, due_ms
        cdef bint is_due
        base = head = totals = None
        predictions = _NO_PREDICTIONS
        if visitor is not None:
            totals, base = item(visitor, VISITOR_TOTALS), item(visitor, VISITOR_BASE)
            head, timer_ms = item(visitor, VISITOR_HEAD), item(visitor, VISITOR_TIMER_MS)
            predictions = item(visitor, VISITOR_PREDICTIONS)
        if self._lines is not None:
            self._count_orders()
        for i in range(self._size):
            self._count(&self._new_events[i])
        session = advance(head, self._new_events, self._size)
        self._count_reach(head, session)
        tail = None if visitor is None else item(visitor, VISITOR_TAIL)
        tail = add_actions(tail, self._new_events, self._size, self._packer)
        seen = b"" if visitor is None else item(visitor, VISITOR_SEEN)
        predictions = self._alerts.judge(user_id, visitor, predictions, session, self._new_events, self._size)
        due_ms = self._alerts.due_ms(session, predictions)
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
        set_item(after, VISITOR_TOTALS, add_totals(totals, self._new_events, self._size))
        set_item(after, VISITOR_BASE, base)
        set_item(after, VISITOR_HEAD, session)
        set_item(after, VISITOR_TAIL, tail)
        set_item(after, VISITOR_ENDED, False)
        set_item(after, VISITOR_TIMER_MS, timer_ms)
        set_item(after, VISITOR_SEEN, add_digests(seen, self._new_events, self._size))
        set_item(after, VISITOR_ORDERS, self._orders)
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
        category = item(event, EVENT_CATEGORY)
        if category:
            grow(<dict>item(self._categories, new_event.rank), category, 1)
        if new_event.rank == RANK_PURCHASE:
            self._count_sale(minute_ms, product, event)
        return 0

    cdef int _count_sale(self, object minute_ms, str product, object event) except -1:
        """See `stream.batch.counts.Counts.count_sale`."""
        cdef long long quantity = item(event, EVENT_QUANTITY), price_minor
        cdef dict shop = self._shop_of(minute_ms), products = self._sales.get(minute_ms)
        price, currency = item(event, EVENT_PRICE_MINOR), item(event, EVENT_CURRENCY)
        if products is None:
            products = self._sales[minute_ms] = {}
        grow(shop, _UNITS, quantity)
        grow(products, _UNITS_OF + product, quantity)
        if price is not None and currency is not None:
            price_minor = price
            metric = _REVENUE + <str>currency
            self._currencies.add(currency)
            grow(shop, metric, min(price_minor * quantity, _MAX_SUM))
            grow(products, f"{metric}:{product}", min(price_minor * quantity, _MAX_SUM))
        return 0

    cdef int _count_orders(self) except -1:
        """See `stream.batch.counts.Counts.count_order`."""
        for line in self._lines:
            self._purchases.append(line)
            for minute_ms, change in item(line, COUNTED_LINE_CHANGES):
                grow(self._shop_of(minute_ms), _ORDERS, change)
        return 0

    cdef dict _shop_of(self, object minute_ms):
        """What the shop counts of a minute."""
        cdef dict fields = self._shop.get(minute_ms)
        if fields is None:
            fields = self._shop[minute_ms] = {}
        return fields

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
        fields = self._shop_of(start_ms - start_ms % _MINUTE_MS)
        if before is None:
            grow(fields, _SESSIONS, 1)
        if viewed:
            grow(fields, _VIEWED, 1)
        if carted:
            grow(fields, _CARTED, 1)
        if bought:
            grow(fields, _BOUGHT, 1)
        return 0
