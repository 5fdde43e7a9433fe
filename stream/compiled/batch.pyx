# cython: language_level=3, boundscheck=False, wraparound=False
"""The pure batch step, as `stream.batch.apply_batch` makes it.

Visitors whose events go on in order with their session are taken here; those with late events, or of whom a
session ended, go the way that defines the step. So do alerts and predictions wherever any are at stake.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from stream.compiled.packing cimport Packer
from stream.compiled.tuples cimport item, new_tuple, set_item

from contracts.clock import LIVE_SKEW_MS
from contracts.events import EventType
from contracts.keys import GRAIN_MS, Metric
from contracts.numbers import MAX_SUM_MINOR
from contracts.outlook import BLANK, Outlook
from contracts.visitor import (
    MAX_CART_LINES,
    Action,
    CartLine,
    Session,
    Tail,
    Totals,
    Visitor,
    digest_of,
)
from models.next_action.prices import UNKNOWN_LEVEL
from models.trending import contribution, landmark_of
from stream.batch import Clock, Outcome, apply_events
from stream.demand import METRIC_OF_RANK, WEIGHT_OF_RANK, DemandCounter
from stream.forgotten import NOBODY, keep_out
from stream.orders import count_order
from stream.outlook import Arrival, judge_arrival
from stream.session import KEEP_ACTIONS, MAX_SEEN_BYTES, settle

cimport cython

cdef extern from "blake2b.h":
    enum:
        BLAKE2B_BLOCK_BYTES
        BLAKE2B_DIGEST_BYTES
    void blake2b_8(const char*, size_t, uint8_t*) noexcept

cdef enum:
    # `EventType.rank`
    VIEW, FAVORITE, CART, REMOVE, PURCHASE
    RANKS
cdef enum:
    # Places in `contracts.events.Event`
    EVENT_ID, EVENT_TYPE, EVENT_TIME, EVENT_USER, EVENT_PRODUCT, EVENT_SESSION, EVENT_PRICE, EVENT_CURRENCY
    EVENT_QUANTITY, EVENT_CATEGORY, EVENT_BRAND, EVENT_ORDER
cdef enum:
    # Places in `stream.batch.Entry`
    ENTRY_OFFSET, ENTRY_AT, ENTRY_BROKER, ENTRY_EVENT, ENTRY_LETTER
cdef enum:
    # Places in `contracts.visitor.Visitor`
    TOTALS, BASE, HEAD, TAIL, ENDED, TIMER, SEEN, ORDERS, OUTLOOK
cdef enum:
    # Places in `contracts.visitor.Session`
    HEAD_ID, HEAD_NUMBER, HEAD_START, HEAD_LAST, HEAD_COUNTS, HEAD_UNITS, HEAD_REVENUE, HEAD_CART
cdef enum:
    # Places in `contracts.visitor.Totals`
    TOTALS_FIRST, TOTALS_LAST, TOTALS_COUNTS, TOTALS_UNITS, TOTALS_REVENUE
cdef enum:
    # Places in `contracts.alert_book.AlertBook`
    BOOK_SESSION, BOOK_START, BOOK_EPISODES, BOOK_ARMED, BOOK_INTENT, BOOK_QUIET, BOOK_LOOKED, BOOK_LIVE, BOOK_OPEN

cdef object _VIEW = EventType.VIEW, _FAVORITE = EventType.FAVORITE, _CART = EventType.CART
cdef object _REMOVE = EventType.REMOVE_FROM_CART
cdef object _Action = Action, _CartLine = CartLine, _Session = Session, _Tail = Tail, _Totals = Totals
cdef object _Visitor = Visitor, _Outlook = Outlook, _BLANK = BLANK
cdef long long _MINUTE_MS = GRAIN_MS["minute"], _LIVE_SKEW_MS = LIVE_SKEW_MS, _MAX_SUM = MAX_SUM_MINOR
cdef Py_ssize_t _MAX_SEEN = MAX_SEEN_BYTES, _MAX_LINES = MAX_CART_LINES
cdef long long _SETTLED_SIZE = 2 * KEEP_ACTIONS
cdef str _SESSIONS = Metric.SESSIONS, _VIEWED = Metric.SESSIONS_VIEWED
cdef str _CARTED = Metric.SESSIONS_CARTED, _BOUGHT = Metric.SESSIONS_BOUGHT

cdef struct Deed:
    # One event of a visitor that was not seen before; the event itself is held by its batch.
    long long at_ms
    int rank
    uint8_t[BLAKE2B_DIGEST_BYTES] digest
    PyObject* event


def users_of(entries):
    """See `stream.batch.users_of`."""
    cdef set users = set()
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            users.add(item(event, EVENT_USER))
    return users


def apply_batch(clock, entries, visitors, rules, *, level=UNKNOWN_LEVEL, forgotten=NOBODY):
    """See `stream.batch.apply_batch`."""
    cdef long long applied = 0, on_time = 0
    cdef list prices = []
    cdef dict grouped
    for entry in entries:
        event = item(entry, ENTRY_EVENT)
        if event is not None:
            price = item(event, EVENT_PRICE)
            if price:
                prices.append(price)
    outcome = Outcome(clock, level.after_all(prices))
    counter = DemandCounter(outcome.demand, rules.half_life_ms)
    stale = set()
    grouped = _group(outcome, entries, rules.session.disorder_ms + rules.lateness_ms, stale)
    if forgotten:
        outcome.count("forgotten", keep_out(grouped, entries, forgotten, rules.secret))
    cdef _Step step = _Step(outcome, counter, stale, rules)
    for user_id, events in grouped.items():
        on_time += len(<list>events)
        applied += step.apply(user_id, visitors.get(user_id), <list>events)
    outcome.count("applied", applied)
    outcome.count("duplicates", on_time - applied)
    _settle_demand(counter)
    return outcome


cdef dict _group(object outcome, object entries, long long slack_ms, set stale):
    """Events by visitor, as `stream.batch` groups them; `stale` gets the ids of those that arrived late."""
    cdef long long max_event_ms = outcome.clock[0], broker_ms = outcome.clock[1]
    cdef long long at_ms, record_ms, moment, late = 0
    cdef dict grouped = {}
    cdef list events
    cdef PyObject* known
    for entry in entries:
        record_ms = item(entry, ENTRY_BROKER)
        if record_ms > broker_ms:
            broker_ms = record_ms
        event = item(entry, ENTRY_EVENT)
        if event is None:
            letter = item(entry, ENTRY_LETTER)
            if letter is not None:
                outcome.letters.append(letter)
            continue
        at_ms = item(entry, ENTRY_AT)
        moment = at_ms if at_ms < record_ms else record_ms
        if moment > max_event_ms:
            max_event_ms = moment
        elif at_ms < max_event_ms - slack_ms:
            late += 1
            continue
        if record_ms - at_ms >= _LIVE_SKEW_MS:
            stale.add(item(event, EVENT_ID))
        user_id = item(event, EVENT_USER)
        known = PyDict_GetItem(grouped, user_id)
        if known == NULL:
            grouped[user_id] = [event]
        else:
            (<list>known).append(event)
    outcome.clock = Clock(max_event_ms, broker_ms)
    outcome.count("late", late)
    outcome.count("rejected", len(outcome.letters))
    return grouped


@cython.final
cdef class _Step:
    """The step of one visitor after another of a batch."""

    cdef object _outcome, _counter, _rules, _alert_rules
    cdef dict _visitors, _timers, _minutes, _shop
    cdef set _stale
    cdef long long _idle_ms, _cart_idle_ms, _calm_ms
    cdef Deed* _deeds
    cdef Py_ssize_t _size, _room
    cdef Packer _packer
    cdef long long _minute_ms
    cdef tuple _by_rank

    def __init__(self, outcome, counter, stale, rules):
        self._outcome, self._counter, self._rules, self._stale = outcome, counter, rules, stale
        self._visitors, self._timers, self._shop = outcome.visitors, outcome.timers, outcome.demand.shop
        self._minutes = counter.minutes
        alerts = self._alert_rules = rules.alerts
        self._idle_ms, self._cart_idle_ms = rules.session.idle_ms, alerts.cart_idle_ms
        self._calm_ms = min(self._idle_ms, self._cart_idle_ms, alerts.look_again_ms)
        self._packer = Packer()
        self._minute_ms = -1

    def __dealloc__(self):
        PyMem_Free(self._deeds)

    cdef long long apply(self, object user_id, object visitor, list events) except -1:
        """Count one visitor's events and put the new state into the outcome; how many had not been seen."""
        if not self._take(visitor, events):
            return apply_events(
                self._outcome, self._counter, user_id, visitor, events, self._stale, self._rules
            )
        if self._size:
            self._go_on(user_id, visitor)
        return self._size

    # -- what there is to do ---------------------------------------------------------------------------

    cdef bint _take(self, object visitor, list events) except -1:
        """Note the events not seen before; False unless they go on in order with the visitor's session."""
        cdef bytes seen = b"" if visitor is None else item(visitor, SEEN)
        cdef const char* digests = PyBytes_AS_STRING(seen)
        cdef Py_ssize_t known = PyBytes_GET_SIZE(seen) // BLAKE2B_DIGEST_BYTES, i
        cdef Deed* deed
        self._size = 0
        self._make_room(len(events))
        for event in events:
            deed = &self._deeds[self._size]
            _put_digest(item(event, EVENT_ID), deed.digest)
            if _holds(digests, known, deed.digest) or self._repeats(deed):
                continue
            deed.at_ms = item(event, EVENT_TIME)
            deed.rank = _rank(item(event, EVENT_TYPE))
            deed.event = <PyObject*>event
            if self._size and not _is_before(deed - 1, deed):
                return False
            self._size += 1
        return not self._size or self._is_one_session(visitor)

    cdef bint _is_one_session(self, object visitor) except -1:
        cdef long long last_ms = self._deeds[0].at_ms
        cdef Deed newest
        cdef Py_ssize_t i
        if visitor is not None:
            if item(visitor, ENDED):
                return False
            last = item(item(visitor, TAIL), 2)
            newest.at_ms, newest.rank = item(last, 0), item(last, 1)
            memcpy(newest.digest, PyBytes_AS_STRING(item(last, 2)), BLAKE2B_DIGEST_BYTES)
            if not _is_before(&newest, &self._deeds[0]):
                return False
            last_ms = item(item(visitor, HEAD), HEAD_LAST)
        for i in range(self._size):
            if self._deeds[i].at_ms - last_ms > self._idle_ms:
                return False
            last_ms = self._deeds[i].at_ms
        return True

    cdef bint _repeats(self, Deed* deed) noexcept:
        cdef Py_ssize_t i
        for i in range(self._size):
            if memcmp(self._deeds[i].digest, deed.digest, BLAKE2B_DIGEST_BYTES) == 0:
                return True
        return False

    cdef int _make_room(self, Py_ssize_t size) except -1:
        cdef Deed* deeds
        if size > self._room:
            deeds = <Deed*>PyMem_Realloc(self._deeds, 2 * size * sizeof(Deed))
            if deeds == NULL:
                raise MemoryError()
            self._deeds, self._room = deeds, 2 * size
        return 0

    # -- the state -------------------------------------------------------------------------------------

    cdef int _go_on(self, object user_id, object visitor) except -1:
        """See `stream.batch.apply_events` and `stream.session.absorb`, for events in order in one session."""
        cdef Deed* deed
        cdef Py_ssize_t i
        cdef long long timer_ms = 0, due_ms
        cdef bint is_due
        cdef dict orders = {} if visitor is None else item(visitor, ORDERS)
        base = head = totals = None
        outlook = _BLANK
        if visitor is not None:
            totals, base, head = item(visitor, TOTALS), item(visitor, BASE), item(visitor, HEAD)
            timer_ms, outlook = item(visitor, TIMER), item(visitor, OUTLOOK)
        for i in range(self._size):
            deed = &self._deeds[i]
            if deed.rank == PURCHASE:
                orders = count_order(self._outcome.demand, orders, <object>deed.event)
            self._count(deed)
        session = self._advance(head)
        self._count_reach(head, session)
        tail = self._tail(None if visitor is None else item(visitor, TAIL))
        outlook = self._judge(user_id, visitor, outlook, session)
        due_ms = self._due_ms(session, outlook)
        is_due = 0 < due_ms and not 0 < timer_ms <= due_ms
        if is_due:
            timer_ms = due_ms

        after = new_tuple(_Visitor, 9)
        set_item(after, TOTALS, self._add_totals(totals))
        set_item(after, BASE, base)
        set_item(after, HEAD, session)
        set_item(after, TAIL, tail)
        set_item(after, ENDED, False)
        set_item(after, TIMER, timer_ms)
        set_item(after, SEEN, self._seen(b"" if visitor is None else item(visitor, SEEN)))
        set_item(after, ORDERS, orders)
        set_item(after, OUTLOOK, outlook)
        if item(tail, 1) > _SETTLED_SIZE:
            after = settle(after, self._rules.session)
        if due_ms < 0:
            self._outcome.put(user_id, after, self._alert_rules)
        else:
            self._visitors[user_id] = after
            if is_due:
                self._timers[user_id] = item(after, TIMER)
        return 0

    cdef object _advance(self, object head):
        """See `stream.session.advance`."""
        cdef long long[RANKS] counts
        cdef long long units = 0
        cdef Deed* deed = self._deeds
        cdef Py_ssize_t i
        cdef dict revenue, cart
        cdef bint is_copied = head is None
        if head is None:
            session_id, number, start_ms, revenue, cart = None, 1, deed.at_ms, {}, {}
            for i in range(RANKS):
                counts[i] = 0
        else:
            session_id, number, start_ms = item(head, HEAD_ID), item(head, HEAD_NUMBER), item(head, HEAD_START)
            units, revenue, cart = item(head, HEAD_UNITS), item(head, HEAD_REVENUE), item(head, HEAD_CART)
            _read_counts(item(head, HEAD_COUNTS), counts)
        for i in range(self._size):
            deed = &self._deeds[i]
            counts[deed.rank] += 1
            event = <object>deed.event
            given_id = item(event, EVENT_SESSION)
            if given_id is not None:
                session_id = given_id
            if deed.rank < CART:
                continue
            if not is_copied:
                revenue, cart, is_copied = revenue.copy(), cart.copy(), True
            product = item(event, EVENT_PRODUCT)
            if deed.rank == CART:
                _add_line(cart, product, event)
            elif deed.rank == REMOVE:
                _lower_line(cart, product, item(event, EVENT_QUANTITY))
            else:
                cart.pop(product, None)
                units += <long long>item(event, EVENT_QUANTITY)
                _add_revenue(revenue, event)
        session = new_tuple(_Session, 8)
        set_item(session, HEAD_ID, session_id)
        set_item(session, HEAD_NUMBER, number)
        set_item(session, HEAD_START, start_ms)
        set_item(session, HEAD_LAST, deed.at_ms)
        set_item(session, HEAD_COUNTS, _new_counts(counts))
        set_item(session, HEAD_UNITS, units)
        set_item(session, HEAD_REVENUE, revenue)
        set_item(session, HEAD_CART, cart)
        return session

    cdef object _add_totals(self, object totals):
        """What `stream.session` adds to the sums over everything a visitor did."""
        cdef long long[RANKS] counts
        cdef long long units = 0
        cdef Deed* deed = self._deeds
        cdef Py_ssize_t i
        cdef dict revenue
        cdef bint is_copied = totals is None
        first_ms, last_ms = deed.at_ms, self._deeds[self._size - 1].at_ms
        if totals is None:
            revenue = {}
            for i in range(RANKS):
                counts[i] = 0
        else:
            if item(totals, TOTALS_FIRST) < first_ms:
                first_ms = item(totals, TOTALS_FIRST)
            if item(totals, TOTALS_LAST) > last_ms:
                last_ms = item(totals, TOTALS_LAST)
            units, revenue = item(totals, TOTALS_UNITS), item(totals, TOTALS_REVENUE)
            _read_counts(item(totals, TOTALS_COUNTS), counts)
        for i in range(self._size):
            deed = &self._deeds[i]
            counts[deed.rank] += 1
            if deed.rank == PURCHASE:
                event = <object>deed.event
                units += <long long>item(event, EVENT_QUANTITY)
                if not is_copied:
                    revenue, is_copied = revenue.copy(), True
                _add_revenue(revenue, event)
        after = new_tuple(_Totals, 5)
        set_item(after, TOTALS_FIRST, first_ms)
        set_item(after, TOTALS_LAST, last_ms)
        set_item(after, TOTALS_COUNTS, _new_counts(counts))
        set_item(after, TOTALS_UNITS, units)
        set_item(after, TOTALS_REVENUE, revenue)
        return after

    cdef object _tail(self, object tail):
        """The tail with the actions at its end, packed as `contracts.visitor.pack_actions` does it."""
        cdef Packer packer = self._packer
        cdef Deed* deed = self._deeds
        cdef Py_ssize_t i
        cdef bytes before
        packer.size = 0
        size = self._size
        if tail is not None:
            before = item(tail, 0)
            packer.put_raw(PyBytes_AS_STRING(before), PyBytes_GET_SIZE(before))
            size += item(tail, 1)
        for i in range(self._size):
            deed = &self._deeds[i]
            event = <object>deed.event
            packer.put_array(10)
            packer.put_int(deed.at_ms)
            packer.put_int(deed.rank)
            packer.put_bytes(<char*>deed.digest, BLAKE2B_DIGEST_BYTES)
            packer.put(item(event, EVENT_PRODUCT))
            packer.put(item(event, EVENT_QUANTITY))
            packer.put(item(event, EVENT_PRICE))
            packer.put(item(event, EVENT_CURRENCY))
            packer.put(item(event, EVENT_CATEGORY))
            packer.put(item(event, EVENT_BRAND))
            packer.put(item(event, EVENT_SESSION))
        after = new_tuple(_Tail, 3)
        set_item(after, 0, packer.taken())
        set_item(after, 1, size)
        set_item(after, 2, (deed.at_ms, deed.rank, _digest_bytes(deed)))
        return after

    cdef bytes _seen(self, bytes seen):
        """Digests seen, the newest last, at most `MAX_SEEN_BYTES` of them."""
        cdef Py_ssize_t before = PyBytes_GET_SIZE(seen), added = self._size * BLAKE2B_DIGEST_BYTES, i
        cdef Py_ssize_t cut = max(0, before + added - _MAX_SEEN)
        cdef bytes after
        cdef char* at
        if cut > before:  # as many new ones as are kept: rare enough to be done simply
            return (seen + b"".join([_digest_bytes(&self._deeds[i]) for i in range(self._size)]))[-_MAX_SEEN:]
        after = PyBytes_FromStringAndSize(NULL, before + added - cut)
        at = PyBytes_AS_STRING(after)
        memcpy(at, PyBytes_AS_STRING(seen) + cut, before - cut)
        at += before - cut
        for i in range(self._size):
            memcpy(at + i * BLAKE2B_DIGEST_BYTES, self._deeds[i].digest, BLAKE2B_DIGEST_BYTES)
        return after

    # -- what the shop counts --------------------------------------------------------------------------

    cdef int _count(self, Deed* deed) except -1:
        """See `stream.demand.DemandCounter.count`."""
        cdef long long minute_ms = deed.at_ms - deed.at_ms % _MINUTE_MS
        cdef dict products
        event = <object>deed.event
        product = item(event, EVENT_PRODUCT)
        if minute_ms != self._minute_ms:
            by_rank = self._minutes.get(minute_ms)
            if by_rank is None:
                by_rank = self._minutes[minute_ms] = ({}, {}, {}, {}, {})
            self._by_rank, self._minute_ms = by_rank, minute_ms
        products = <dict>item(self._by_rank, deed.rank)
        _grow(products, product, 1)
        if deed.rank == PURCHASE:
            self._counter.count_sale(
                minute_ms, product, item(event, EVENT_QUANTITY), item(event, EVENT_PRICE), item(event, EVENT_CURRENCY)
            )
        return 0

    cdef int _count_reach(self, object before, object after) except -1:
        """See `stream.session_counts.session_counts`, for a session that begins or goes on."""
        cdef long long[RANKS] had
        cdef long long[RANKS] has
        cdef long long start_ms
        cdef Py_ssize_t i
        _read_counts(item(after, HEAD_COUNTS), has)
        if before is None:
            for i in range(RANKS):
                had[i] = 0
        else:
            _read_counts(item(before, HEAD_COUNTS), had)
        viewed = not (had[VIEW] or had[FAVORITE]) and (has[VIEW] or has[FAVORITE])
        carted, bought = not had[CART] and has[CART], not had[PURCHASE] and has[PURCHASE]
        if before is not None and not viewed and not carted and not bought:
            return 0
        start_ms = item(after, HEAD_START)
        minute_ms = start_ms - start_ms % _MINUTE_MS
        fields = self._shop.get(minute_ms)
        if fields is None:
            fields = self._shop[minute_ms] = {}
        if before is None:
            _grow(<dict>fields, _SESSIONS, 1)
        if viewed:
            _grow(<dict>fields, _VIEWED, 1)
        if carted:
            _grow(<dict>fields, _CARTED, 1)
        if bought:
            _grow(<dict>fields, _BOUGHT, 1)
        return 0

    # -- what is expected of the visitor ---------------------------------------------------------------

    cdef object _judge(self, object user_id, object before, object outlook, object session):
        """See `stream.outlook.judge_arrival`."""
        cdef list actions, stale
        cdef Py_ssize_t i
        book, unjudged = item(outlook, 1), item(outlook, 2)
        event_id = item(<object>self._deeds[self._size - 1].event, EVENT_ID)
        if item(book, BOOK_OPEN) or item(unjudged, 0) or item(unjudged, 1) or not self._is_calm(before):
            actions = [_action(&self._deeds[i]) for i in range(self._size)]
            stale = []
            if self._stale:
                stale = [
                    _digest_bytes(&self._deeds[i])
                    for i in range(self._size)
                    if item(<object>self._deeds[i].event, EVENT_ID) in self._stale
                ]
            arrival = Arrival(before, actions, stale)
            return judge_arrival(self._outcome.foresight, user_id, arrival, self._alert_rules)
        live = not (self._stale and event_id in self._stale)
        after = book
        if self._is_at_stake(before, book):
            after = _enter(after, session)
        if item(after, BOOK_LIVE) is not live:
            after = _copy(after)
            _replace_item(after, BOOK_LIVE, live)
        if after is book:
            return outlook
        judged = new_tuple(_Outlook, 3)
        set_item(judged, 0, item(outlook, 0))
        set_item(judged, 1, after)
        set_item(judged, 2, unjudged)
        return judged

    cdef bint _is_calm(self, object before) except -1:
        """Whether no silence before or between the events was long enough to lead to anything."""
        cdef long long last_ms = self._deeds[0].at_ms
        cdef Py_ssize_t i
        if before is not None:
            last_ms = item(item(before, HEAD), HEAD_LAST)
        for i in range(self._size):
            if self._deeds[i].at_ms - last_ms > self._calm_ms:
                return False
            last_ms = self._deeds[i].at_ms
        return True

    cdef bint _is_at_stake(self, object before, object book) except -1:
        """See `stream.alerting`: whether these events can matter to alerts."""
        cdef Py_ssize_t i
        if item(book, BOOK_INTENT) or (before is not None and item(item(before, HEAD), HEAD_CART)):
            return True
        for i in range(self._size):
            if self._deeds[i].rank == CART:
                return True
        return False

    cdef long long _due_ms(self, object session, object outlook) except -2:
        """See `stream.outlook.timer_of`; -1 where it must be asked itself."""
        cdef long long last_ms = item(session, HEAD_LAST), abandoned_ms
        score, book = item(outlook, 0), item(outlook, 1)
        if item(book, BOOK_OPEN) or (score is not None and item(score, 1) == last_ms):
            return -1
        counts = item(session, HEAD_COUNTS)
        if item(session, HEAD_CART) and item(counts, CART) and not item(counts, PURCHASE):
            abandoned_ms = last_ms + self._cart_idle_ms
            if abandoned_ms >= <long long>item(item(book, BOOK_QUIET), 1):
                return min(abandoned_ms, last_ms + self._idle_ms)
        return last_ms + self._idle_ms


cdef object _enter(object book, object session):
    """See `stream.alerting`: the book in this session."""
    cdef long long number = item(book, BOOK_SESSION), number_now = item(session, HEAD_NUMBER)
    if item(session, HEAD_START) > item(book, BOOK_START):
        after = _copy(book)
        _replace_item(after, BOOK_START, item(session, HEAD_START))
        if number_now > number:
            _replace_item(after, BOOK_SESSION, number_now)
            _replace_item(after, BOOK_EPISODES, (0, 0))
        _replace_item(after, BOOK_ARMED, True)
        _replace_item(after, BOOK_INTENT, False)
        return after
    if number_now <= number:
        return book
    after = _copy(book)
    _replace_item(after, BOOK_SESSION, number_now)
    return after


cdef object _copy(object book):
    """A copy of a named tuple that nobody has seen yet, so that its items may be replaced."""
    cdef Py_ssize_t i, size = PyTuple_GET_SIZE(book)
    after = new_tuple(type(book), size)
    for i in range(size):
        set_item(after, i, item(book, i))
    return after


cdef int _replace_item(object fresh, Py_ssize_t place, object value) except -1:
    Py_DECREF(item(fresh, place))
    set_item(fresh, place, value)
    return 0


# -- deeds --------------------------------------------------------------------------------------------------


cdef inline int _rank(object event_type) noexcept:
    if event_type is _VIEW:
        return VIEW
    if event_type is _CART:
        return CART
    if event_type is _FAVORITE:
        return FAVORITE
    return REMOVE if event_type is _REMOVE else PURCHASE


cdef inline bint _is_before(Deed* one, Deed* other) noexcept:
    """The order of `contracts.visitor.Action`."""
    if one.at_ms != other.at_ms:
        return one.at_ms < other.at_ms
    if one.rank != other.rank:
        return one.rank < other.rank
    return memcmp(one.digest, other.digest, BLAKE2B_DIGEST_BYTES) < 0


cdef int _put_digest(str event_id, uint8_t* digest) except -1:
    """See `contracts.visitor.digest_of`."""
    cdef Py_ssize_t size
    cdef const char* data = PyUnicode_AsUTF8AndSize(event_id, &size)
    cdef bytes made
    if size <= BLAKE2B_BLOCK_BYTES:
        blake2b_8(data, size, digest)
    else:
        made = digest_of(event_id)
        memcpy(digest, PyBytes_AS_STRING(made), BLAKE2B_DIGEST_BYTES)
    return 0


cdef bint _holds(const char* digests, Py_ssize_t number, uint8_t* digest) noexcept:
    """See `contracts.visitor.is_seen`; the newest are looked at first."""
    cdef Py_ssize_t i
    for i in range(number - 1, -1, -1):
        if memcmp(digests + i * BLAKE2B_DIGEST_BYTES, digest, BLAKE2B_DIGEST_BYTES) == 0:
            return True
    return False


cdef bytes _digest_bytes(Deed* deed):
    return PyBytes_FromStringAndSize(<char*>deed.digest, BLAKE2B_DIGEST_BYTES)


cdef object _action(Deed* deed):
    event = <object>deed.event
    action = new_tuple(_Action, 10)
    set_item(action, 0, deed.at_ms)
    set_item(action, 1, deed.rank)
    set_item(action, 2, _digest_bytes(deed))
    set_item(action, 3, item(event, EVENT_PRODUCT))
    set_item(action, 4, item(event, EVENT_QUANTITY))
    set_item(action, 5, item(event, EVENT_PRICE))
    set_item(action, 6, item(event, EVENT_CURRENCY))
    set_item(action, 7, item(event, EVENT_CATEGORY))
    set_item(action, 8, item(event, EVENT_BRAND))
    set_item(action, 9, item(event, EVENT_SESSION))
    return action


# -- counts, carts and money --------------------------------------------------------------------------------


cdef int _read_counts(object numbers, long long* counts) except -1:
    cdef Py_ssize_t i
    for i in range(RANKS):
        counts[i] = item(numbers, i)
    return 0


cdef tuple _new_counts(long long* counts):
    return counts[0], counts[1], counts[2], counts[3], counts[4]


cdef int _grow(dict fields, object name, long long change) except -1:
    """Add to a count, which stays within `MAX_SUM_MINOR`."""
    cdef PyObject* known = PyDict_GetItem(fields, name)
    if known != NULL:
        change = min(<long long>(<object>known) + change, _MAX_SUM)
    fields[name] = change
    return 0


cdef int _add_revenue(dict revenue, object event) except -1:
    cdef long long price_minor, quantity
    price, currency = item(event, EVENT_PRICE), item(event, EVENT_CURRENCY)
    if price is not None and currency is not None:
        price_minor, quantity = price, item(event, EVENT_QUANTITY)
        _grow(revenue, currency, min(price_minor * quantity, _MAX_SUM))
    return 0


cdef int _add_line(dict cart, object product, object event) except -1:
    """See `stream.session`: a cart that is full loses the product that is in it longest."""
    known = cart.get(product)
    price, currency, quantity = item(event, EVENT_PRICE), item(event, EVENT_CURRENCY), item(event, EVENT_QUANTITY)
    if known is not None:
        if price is None:
            price, currency = item(known, 1), item(known, 2)
        quantity = item(known, 0) + quantity
    elif len(cart) >= _MAX_LINES:
        del cart[next(iter(cart))]
    line = new_tuple(_CartLine, 4)
    set_item(line, 0, quantity)
    set_item(line, 1, price)
    set_item(line, 2, currency)
    set_item(line, 3, item(event, EVENT_TIME))
    cart[product] = line
    return 0


cdef int _lower_line(dict cart, object product, object quantity) except -1:
    line = cart.get(product)
    if line is not None:
        if item(line, 0) > quantity:
            cart[product] = line._replace(quantity=item(line, 0) - quantity)
        else:
            del cart[product]
    return 0


cdef int _settle_demand(object counter) except -1:
    """See `stream.demand.DemandCounter.settle`."""
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
