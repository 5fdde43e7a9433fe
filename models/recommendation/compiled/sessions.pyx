# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Recent sessions as `models.recommendation.python_sessions` defines them, in arrays."""

cimport cython
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.math cimport exp, exp2, log, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define storepulse_prefetch(place) __builtin_prefetch(place)
    #else
    #define storepulse_prefetch(place) ((void)(place))
    #endif
    """
    const char* STOREPULSE_BUILT_FROM  # a macro of setup.py
    PyObject* PyList_GET_ITEM(object, Py_ssize_t)  # borrowed
    object PyType_GenericAlloc(PyTypeObject*, Py_ssize_t)
    void prefetch "storepulse_prefetch"(const void* place) noexcept nogil

from models.recommendation.recent_sessions import MAX_ITEMS, MAX_PREFIX, SHARE_HALF_LIFE_MS, KeptAnswers, Popular, Scored, Standing, Together

cdef int32_t NONE = -1
cdef int MOST = MAX_ITEMS
cdef int STRONG = 6
cdef Py_ssize_t LONGEST = MAX_PREFIX
cdef double HALF_LIFE_MS = SHARE_HALF_LIFE_MS
cdef double DICT_BYTES = 180.0
cdef object _Scored = Scored, _Together = Together, _Popular = Popular, _Standing = Standing
cdef object _make = tuple.__new__  # what the named tuples call themselves, a call of Python less
BUILT_FROM = STOREPULSE_BUILT_FROM.decode("ascii")

cdef enum:
    ROOM = 30  # of the products of a session
    SHORT = 12  # products of a session that fit into its line
    LINE = 64  # bytes of a line of the cache
    AHEAD = 12  # sessions that are fetched before they are looked at: they lie anywhere in memory
    SOON = 4  # sessions whose products are
    PLACES = 256  # of a visitor
    STEPS = 256  # of similarities, from 0 to the highest that can be
    MOST_MATCHED = 256
    GRADES = 512  # of scores, 32 between one and its double
    FEW = 16  # products that are sorted by insertion
if MOST != ROOM:
    raise ImportError("MAX_ITEMS is another one")


cdef struct Slot:
    uint64_t visitor
    int64_t start_ms
    int64_t last_ms
    int32_t* long_items  # of more products than its line holds: n codes, and behind them n masks
    int32_t older
    int32_t newer  # of a free slot the next free one
    int32_t sibling  # the next session of the same visitor
    uint8_t place


cdef struct Line:
    int32_t[SHORT] items
    uint8_t[SHORT] masks
    uint8_t n
    uint8_t[3] unused


cdef struct Weights:
    double viewed
    double carted
    double bought


cdef struct Touched:  # a session with a product of a query's prefix
    double similarity
    int32_t index
    uint8_t matched  # place of the first such product in the prefix
    uint16_t step  # of the similarity, from 0 to `STEPS` - 1; `STEPS`: chosen among those of its step


cdef struct Settings:  # a `Scoring`, unpacked
    double age_scale
    double idf_weight
    double before
    double transition_weight
    double transition_shrink
    Py_ssize_t k
    Py_ssize_t transition_reach
    Py_ssize_t transition_sessions
    Weights weights
    double[ROOM] fading  # by the places between two products of a session
    double[MOST_MATCHED] matched  # by the place of the product shared last


cdef struct Own:  # the sessions of one visitor
    uint64_t bits  # of their slots modulo 64
    int32_t n
    int32_t[PLACES] slots


cdef struct Postings:
    int32_t* slots  # the newest last
    int32_t n
    int32_t room


cdef struct Item:
    Postings all
    Postings strong
    int32_t n_sessions
    int32_t n_strong
    double weight  # of the sessions by their start, forward decay


cdef struct Cell:  # what a query asks of each product: of one line of the cache, not of a whole `Item`
    double score  # zero between two queries
    double log_sessions


cdef struct Ranked:
    double score
    int32_t code


if sizeof(Line) != LINE:
    raise ImportError("the line of a session has another size")


cdef inline double weigh(uint8_t mask, Weights* weights) noexcept nogil:
    if mask & 4:
        return weights.bought
    return weights.carted if mask & 2 else weights.viewed


cdef inline double fade(double steps, double scale) noexcept nogil:
    return exp(-steps / scale) if scale > 0 else 1.0


cdef inline int64_t coarse(double score) noexcept nogil:
    """Exponent and 5 bits more: it orders scores above 0."""
    cdef int64_t bits
    memcpy(&bits, &score, sizeof(bits))
    return bits >> 47


cdef inline int grade_of(double score, int64_t base) noexcept nogil:
    """0, for scores far below the others too, to `GRADES` - 1; `base` is that of grade 0."""
    cdef int64_t grade = coarse(score) - base if score > 0 else 0
    return <int>grade if grade > 0 else 0


cdef inline int place_in(int32_t* items, int n, int32_t code) noexcept nogil:
    cdef int i
    for i in range(n):
        if items[i] == code:
            return i
    return NONE


cdef inline bint is_own(Own* own, int32_t index) noexcept nogil:
    cdef int i
    if own.bits >> (index & 63) & 1:
        for i in range(own.n):
            if own.slots[i] == index:
                return True
    return False


cdef inline object scored(object product_id, double score):
    """A `Scored`, in half the time of a call."""
    cdef object made = PyType_GenericAlloc(<PyTypeObject*>_Scored, 2), number = score
    Py_INCREF(product_id)
    PyTuple_SET_ITEM(made, 0, product_id)
    Py_INCREF(number)
    PyTuple_SET_ITEM(made, 1, number)
    return made


cdef void* grown(void* old, size_t size) except NULL:
    cdef void* new = realloc(old, size)
    if new == NULL:
        raise MemoryError
    return new


@cython.final
cdef class CodedList(list):
    """A list of `Scored` with the codes that the products had, where they still are the same."""

    cdef int32_t* _codes
    cdef double* _shares
    cdef list _names  # of the codes: what stands in `CompiledSessions._ids` for those that are the same
    cdef Py_ssize_t _size
    cdef int64_t _turn  # as of which the codes were seen to be right

    def __dealloc__(self):
        free(self._codes)
        free(self._shares)

    cdef int note(self, list ids, Ranked* ranked, Py_ssize_t n, double total) except -1:
        """Fill it with products and their shares in a total."""
        cdef Py_ssize_t i
        self._codes = <int32_t*>grown(NULL, (n + 1) * sizeof(int32_t))
        self._shares = <double*>grown(NULL, (n + 1) * sizeof(double))
        self._names, self._size = [], n
        for i in range(n):
            self._codes[i] = ranked[i].code
            self._shares[i] = ranked[i].score / total
            name = ids[ranked[i].code]
            self._names.append(name)
            self.append(scored(name, self._shares[i]))
        return 0


@cython.final
cdef class CompiledSessions:
    """See `models.recommendation.recent_sessions.RecentSessions`."""

    cdef readonly Py_ssize_t max_sessions, sessions_per_item, n_sessions
    cdef Slot* _slots
    cdef Line* _lines  # of the sessions by slot, each in one line of the cache
    cdef void* _lines_raw
    cdef Py_ssize_t _room, _used
    cdef int32_t _free, _oldest, _newest
    cdef int32_t* _table  # first slot of a visitor, by the visitor's hash
    cdef Py_ssize_t _table_mask, _n_visitors
    cdef Item* _items
    cdef Py_ssize_t _items_room
    cdef dict _codes
    cdef list _ids, _free_codes
    cdef object _answers
    cdef int64_t _landmark_ms
    cdef bint _has_landmark
    cdef Py_ssize_t _bytes
    cdef uint8_t* _sizes  # products of the sessions by slot, apart: a query asks it of sessions anywhere
    cdef uint32_t* _numbers  # of the sessions by slot, as they began; they may wrap: only differences count
    cdef uint32_t _n_begun
    # Scratch of one query.
    cdef Touched* _touched
    cdef int32_t* _places  # where a session is among `_touched`, by its hash
    cdef Py_ssize_t _touched_room, _places_mask
    cdef Cell* _cells  # scores are all zero between two queries, as are `_visits`
    cdef int32_t* _scored
    cdef Ranked* _ranked  # what `_select` found
    cdef int32_t* _visits
    cdef double[ROOM + 1] _norms  # by the number of products of a session
    cdef object _scoring  # that `_settings` are of
    cdef Settings _settings
    cdef int64_t _turn  # how often a product has left

    def __cinit__(self, Py_ssize_t max_sessions, Py_ssize_t sessions_per_item):
        if max_sessions < 1 or sessions_per_item < 1:
            raise ValueError("max_sessions and sessions_per_item must be 1 or more")
        self.max_sessions, self.sessions_per_item = max_sessions, sessions_per_item
        self._free = self._oldest = self._newest = NONE
        self._codes, self._ids, self._free_codes = {}, [], []
        self._answers = KeptAnswers()
        cdef int n
        self._norms[0] = 0.0
        for n in range(1, ROOM + 1):
            self._norms[n] = 1.0 / sqrt(<double>n)
        self._resize_table(1_024)

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self._used):
            free(self._slots[i].long_items)
        for i in range(self._items_room):
            free(self._items[i].all.slots)
            free(self._items[i].strong.slots)
        free(self._slots)
        free(self._table)
        free(self._items)
        free(self._lines_raw)
        free(self._sizes)
        free(self._touched)
        free(self._places)
        free(self._numbers)
        free(self._cells)
        free(self._scored)
        free(self._ranked)
        free(self._visits)

    @property
    def n_items(self):
        """See the protocol."""
        return len(self._codes)

    @property
    def n_bytes(self):
        """See the protocol."""
        cdef Py_ssize_t by_slot = sizeof(Slot) + sizeof(Line) + sizeof(uint8_t) + sizeof(uint32_t)
        cdef Py_ssize_t by_item = sizeof(Item) + sizeof(Cell) + sizeof(Ranked) + 2 * sizeof(int32_t)
        return (
            self._bytes + self._room * by_slot + self._items_room * by_item
            + (self._table_mask + 1) * sizeof(int32_t) + int(DICT_BYTES * len(self._codes))
        )

    def __contains__(self, product_id):
        return product_id in self._codes

    def sessions_with(self, str product_id):
        """See the protocol."""
        cdef int32_t code = self._code_of(product_id)
        return 0 if code == NONE else self._items[code].n_sessions

    def standings(self, products, Py_ssize_t newest):
        """See the protocol."""
        cdef int32_t code
        cdef Item* item
        cdef Py_ssize_t n, recent, since
        cdef list found = []
        for product_id in products:
            code = self._code_of(product_id)
            if code == NONE:
                found.append(_make(_Standing, (0, 0, 0, self.n_sessions)))
                continue
            item = &self._items[code]
            n, recent = item.all.n, 0
            since = self._age_of(item.all.slots[n - 1]) if n else self.n_sessions
            while recent < n and self._age_of(item.all.slots[n - 1 - recent]) < newest:
                recent += 1
            found.append(_make(_Standing, (item.n_sessions, item.n_strong, recent, since)))
        return found

    def put(self, str visitor, int place, session):
        """See the protocol."""
        cdef list items = list(session.items), actions = list(session.actions)
        cdef Py_ssize_t n = len(items), skip
        if n != len(actions):
            raise ValueError("a session has more or fewer actions than products")
        if not 0 <= place <= 255:
            raise ValueError("a place must be 0 to 255")
        cdef uint64_t key = <uint64_t>hash(visitor)
        cdef int64_t start_ms = session.start_ms, last_ms = session.last_ms
        cdef int32_t index = self._find_session(key, place)
        if index != NONE and (not n or self._slots[index].start_ms != start_ms):
            self._remove(index)
            index = NONE
        if not n:
            return
        skip = n - MOST if n > MOST else 0
        n -= skip
        if index == NONE:
            if self.n_sessions == self.max_sessions:
                self._remove(self._oldest)
            index = self._add(key, place, start_ms)
        cdef int32_t[ROOM] codes
        cdef uint8_t[ROOM] masks
        cdef Py_ssize_t i
        for i in range(n):
            codes[i] = self._code_for(items[skip + i])
            masks[i] = <uint8_t>(<int>actions[skip + i])
        self._replace(index, last_ms, codes, masks, n)

    def forget(self, str visitor):
        """See the protocol."""
        cdef uint64_t key = <uint64_t>hash(visitor)
        cdef int32_t at = self._find(key)
        self._answers.clear()
        while at != NONE:
            self._remove(self._table[at])
            at = self._find(key)

    def next_products(
        self, prefix, scoring, *, Py_ssize_t limit, int64_t now_ms, extra=(), shares=(), str skip_visitor=None
    ):
        """See the protocol."""
        cdef Py_ssize_t n_scored = 0, n_touched = 0, length = min(<Py_ssize_t>len(prefix), LONGEST), back, n
        cdef Own own
        cdef int32_t code
        cdef double weight, factor, highest = 0.0
        self._take_settings(scoring)
        self._find_own(skip_visitor, &own)
        cdef double* parts = NULL
        cdef int32_t* codes = <int32_t*>grown(NULL, (length + 1) * sizeof(int32_t))
        try:
            parts = <double*>grown(NULL, (length + 1) * sizeof(double))
            for back in range(length):
                product_id, parts[back] = prefix[back]
                codes[back] = self._code_of(product_id)
                if codes[back] == NONE or not parts[back] > 0:
                    parts[back] = 0.0
                    continue
                highest += parts[back]
                n_touched += self._items[codes[back]].all.n
            self._make_places(n_touched)
            n_touched = 0
            for back in range(length):
                if parts[back] > 0:
                    n_touched = self._touch(codes[back], back, parts[back], n_touched)
            n_scored = self._vote(codes, highest, &own, now_ms, n_touched)
            if length and codes[0] != NONE and self._settings.transition_weight:
                n_scored = self._go_on(codes[0], &own, n_scored)
            unknown = {}
            for found, factor in [*shares, (extra, 1.0)]:
                if type(found) is CodedList and len(<list>found) == (<CodedList>found)._size:
                    n_scored = self._add_coded(<CodedList>found, factor, unknown, n_scored)
                    continue
                for pair in found:
                    if not isinstance(pair, tuple) or len(<tuple>pair) != 2:
                        raise TypeError("what is added must be pairs of a product and a number")
                    product_id, weight = (<tuple>pair)[0], factor * <double>(<tuple>pair)[1]
                    code = self._code_of(product_id)
                    if code == NONE:
                        unknown[product_id] = unknown.get(product_id, 0.0) + weight
                    else:
                        n_scored = self._add_score(code, weight, n_scored)
            n = self._select(n_scored, limit)
            answer = [scored(self._ids[one.code], one.score) for one in self._ranked[:n]]
            if unknown:
                answer += [_Scored(*pair) for pair in unknown.items()]
                answer.sort(key=_rank)
                del answer[limit:]
            return answer
        finally:
            free(codes)
            free(parts)
            self._clear(n_scored)

    def together(self, str product_id, int from_mask, int to_mask, *, Py_ssize_t limit, str skip_visitor=None):
        """See the protocol."""
        cdef int32_t code = self._code_of(product_id), other, index
        if code == NONE:
            return []
        cdef Own own
        self._find_own(skip_visitor, &own)
        cdef Postings* postings = self._postings(code, from_mask)
        cdef Py_ssize_t n_scored = 0, i, j, n = 0
        cdef int32_t* items
        cdef uint8_t* masks
        cdef Item* item
        for i in range(postings.n - 1, -1, -1):
            if i >= AHEAD:
                prefetch(&self._lines[postings.slots[i - AHEAD]])
            index = postings.slots[i]
            if is_own(&own, index):
                continue
            items, masks = self._items_of(index), self._masks_of(index)
            if not masks[place_in(items, self._lines[index].n, code)] & from_mask:
                continue
            n += 1
            for j in range(self._lines[index].n):
                other = items[j]
                if masks[j] & to_mask and other != code:
                    n_scored = self._add_score(other, 1.0, n_scored)
        try:
            for i in range(n_scored):
                other = self._scored[i]
                item = &self._items[other]
                self._visits[other] = <int32_t>self._cells[other].score
                self._cells[other].score /= sqrt(<double>n * (item.n_sessions if to_mask & 1 else item.n_strong))
            i = self._select(n_scored, limit)
            return [
                _make(_Together, (self._ids[one.code], one.score, self._visits[one.code]))
                for one in self._ranked[:i]
            ]
        finally:
            self._clear_visits(n_scored)
            self._clear(n_scored)

    def visits_together(self, products, others, *, str skip_visitor=None):
        """See the protocol."""
        cdef Own own
        self._find_own(skip_visitor, &own)
        cdef int32_t code, index
        cdef int32_t* items
        cdef Py_ssize_t i, j
        cdef Postings* postings
        cdef list codes = [self._code_of(one) for one in products], rows = []
        for code in codes:
            if code != NONE:
                self._cells[code].score = 1.0
        for other in others:
            code = self._code_of(other)
            if code != NONE:
                postings = &self._items[code].all
                for i in range(postings.n):
                    if i + AHEAD < postings.n:
                        prefetch(&self._lines[postings.slots[i + AHEAD]])
                    index = postings.slots[i]
                    if is_own(&own, index):
                        continue
                    items = self._items_of(index)
                    for j in range(self._lines[index].n):
                        if self._cells[items[j]].score != 0.0:
                            self._visits[items[j]] += 1
            row = []
            for code in codes:
                row.append(0 if code == NONE else self._visits[code])
            for code in codes:
                if code != NONE:
                    self._visits[code] = 0
            rows.append(row)
        for code in codes:
            if code != NONE:
                self._cells[code].score = 0.0
        return rows

    def popular(
        self,
        weights,
        double half_life_ms,
        *,
        int64_t now_ms,
        Py_ssize_t newest=100_000,
        Py_ssize_t limit=1_000,
        int64_t old_ms=0,
    ):
        """See the protocol."""
        question = weights, half_life_ms, newest, limit
        known = self._answers.find(question, now_ms, old_ms)
        if known is not None:
            return known
        cdef Weights by_action
        by_action.viewed, by_action.carted, by_action.bought = weights
        cdef int32_t index = self._newest, code
        cdef Py_ssize_t i, n_scored = 0
        cdef Slot* slot
        cdef int32_t* items
        cdef uint8_t* masks
        cdef double decay, weight
        while index != NONE and newest:
            slot = &self._slots[index]
            decay = exp2(-(now_ms - slot.last_ms if now_ms > slot.last_ms else 0) / half_life_ms)
            if slot.older != NONE:
                prefetch(&self._slots[slot.older])
                prefetch(&self._lines[slot.older])
            items, masks = self._items_of(index), self._masks_of(index)
            for i in range(self._lines[index].n):
                weight = weigh(masks[i], &by_action)
                if weight > 0:
                    code = items[i]
                    n_scored = self._add_score(code, decay * weight, n_scored)
                    self._visits[code] += 1
            index = slot.older
            newest -= 1
        try:
            i = self._select(n_scored, limit)
            answer = [
                _make(_Popular, (self._ids[one.code], one.score, self._visits[one.code]))
                for one in self._ranked[:i]
            ]
            return self._answers.keep(question, now_ms, answer)
        finally:
            self._clear_visits(n_scored)
            self._clear(n_scored)

    def popular_among(self, str group, products, *, Py_ssize_t limit, int64_t now_ms, int64_t old_ms=0):
        """See the protocol."""
        question = group, limit
        known = self._answers.find(question, now_ms, old_ms)
        if known is not None:
            return known
        cdef Py_ssize_t n_scored = 0
        cdef int32_t code
        cdef double total = 0.0
        cdef CodedList answer = CodedList()
        try:
            for product_id in products:
                code = self._code_of(product_id)
                if code != NONE and self._items[code].weight > 0:
                    total += self._items[code].weight
                    n_scored = self._add_score(code, self._items[code].weight, n_scored)
            answer.note(self._ids, self._ranked, self._select(n_scored, limit), total)
            answer._turn = self._turn
        finally:
            self._clear(n_scored)
        return self._answers.keep(question, now_ms, answer)

    # Queries

    cdef int _find_own(self, str visitor, Own* own) except -1:
        """The sessions of a visitor, none for None."""
        own.bits, own.n = 0, 0
        if visitor is None:
            return 0
        cdef int32_t at = self._find(<uint64_t>hash(visitor)), index
        index = NONE if at == NONE else self._table[at]
        while index != NONE and own.n < PLACES:
            own.slots[own.n] = index
            own.n += 1
            own.bits |= <uint64_t>1 << (index & 63)
            index = self._slots[index].sibling
        return 0

    cdef int _take_settings(self, scoring) except -1:
        """Unpack a scoring, which is the same in most queries."""
        if scoring is self._scoring:
            return 0
        cdef Settings* settings = &self._settings
        cdef double distance_scale = scoring.distance_scale, match_scale = scoring.match_scale
        cdef int i
        self._scoring = None
        settings.weights.viewed, settings.weights.carted, settings.weights.bought = scoring.action_weights
        settings.k, settings.age_scale = scoring.k, scoring.age_scale_ms
        settings.idf_weight, settings.before = scoring.idf_weight, scoring.before_weight
        settings.transition_weight = scoring.transition_weight
        settings.transition_shrink = scoring.transition_shrink
        settings.transition_reach = scoring.transition_reach
        settings.transition_sessions = scoring.transition_sessions
        for i in range(ROOM):
            settings.fading[i] = fade(i, distance_scale)
        for i in range(MOST_MATCHED):
            settings.matched[i] = fade(i, match_scale)
        self._scoring = scoring
        return 0

    cdef int _make_places(self, Py_ssize_t most) except -1:
        """Empty places for so many sessions at most: a small table stays in the nearest cache."""
        cdef Py_ssize_t size = 256
        while size < 2 * most:
            size *= 2
        if size > self._touched_room:
            self._touched_room = 0
            self._places = <int32_t*>grown(self._places, size * sizeof(int32_t))
            self._touched = <Touched*>grown(self._touched, size // 2 * sizeof(Touched))
            self._touched_room = size
        self._places_mask = size - 1
        memset(self._places, 0xFF, size * sizeof(int32_t))  # all `NONE`
        return 0

    cdef inline Py_ssize_t _place_of(self, int32_t index) noexcept nogil:
        """Where the table has a session, or has room for it."""
        cdef Py_ssize_t at = ((<uint64_t>index * <uint64_t>0x9E3779B97F4A7C15ULL) >> 40) & self._places_mask
        while self._places[at] != NONE and self._touched[self._places[at]].index != index:
            at = (at + 1) & self._places_mask
        return at

    cdef Py_ssize_t _touch(self, int32_t code, Py_ssize_t back, double weight, Py_ssize_t n) noexcept nogil:
        """Add to the similarity of all sessions with a product; `n`, and what is returned: touched so far."""
        cdef Postings* postings = &self._items[code].all
        cdef Py_ssize_t i, at
        cdef int32_t index
        for i in range(postings.n - 1, -1, -1):
            index = postings.slots[i]
            at = self._place_of(index)
            if self._places[at] == NONE:
                self._places[at] = <int32_t>n
                self._touched[n] = Touched(weight, index, <uint8_t>back, 0)
                prefetch(&self._sizes[index])
                n += 1
            else:
                self._touched[self._places[at]].similarity += weight
        return n

    cdef Py_ssize_t _nearest(self, double highest, Own* own, int64_t now_ms, Py_ssize_t n) except -1:
        """Brings the `k` most similar of `n` touched sessions to the front, in any order; returns how many.

        Of equal ones those that were touched first. `highest`: no similarity is above it.
        """
        cdef Py_ssize_t[STEPS] of_steps
        cdef Py_ssize_t i, k = self._settings.k, n_above = 0, n_kept = 0, n_heap = 0
        cdef double age_scale = self._settings.age_scale, width = (STEPS - 1) / highest if highest > 0 else 0.0
        cdef int step
        cdef int32_t place
        cdef Touched* one
        cdef double* heap = NULL
        cdef Py_ssize_t* order = NULL
        memset(of_steps, 0, sizeof(of_steps))
        for i in range(own.n):
            place = self._places[self._place_of(own.slots[i])]
            if place != NONE:
                self._touched[place].similarity = 0.0
        for i in range(n):
            one = &self._touched[i]
            one.similarity *= self._norms[self._sizes[one.index]]
            if age_scale > 0 and now_ms > self._slots[one.index].last_ms:
                one.similarity *= exp(-(now_ms - self._slots[one.index].last_ms) / age_scale)
            one.step = <uint16_t>min(STEPS - 1, <int>(one.similarity * width))
            of_steps[one.step] += one.similarity > 0
        step = STEPS - 1
        while step > 0 and n_above + of_steps[step] <= k:
            n_above += of_steps[step]
            step -= 1
        # Those of higher steps are all taken. Of this step the best are, and of lower ones none.
        try:
            heap = <double*>grown(NULL, (k - n_above + 1) * sizeof(double))
            order = <Py_ssize_t*>grown(NULL, (k - n_above + 1) * sizeof(Py_ssize_t))
            for i in range(n):
                one = &self._touched[i]
                if one.step == step and one.similarity > 0:
                    n_heap = _offer(heap, order, n_heap, k - n_above, one.similarity, i)
            for i in range(n_heap):
                self._touched[order[i]].step = STEPS
        finally:
            free(heap)
            free(order)
        for i in range(n):
            if self._touched[i].step > step:
                self._touched[n_kept] = self._touched[i]
                n_kept += 1
        return n_kept

    cdef Py_ssize_t _vote(
        self, int32_t* prefix, double highest, Own* own, int64_t now_ms, Py_ssize_t n_touched
    ) except -1:
        """Scores of products as shares of the votes; returns how many have one."""
        cdef Py_ssize_t i, j, n, n_scored = 0
        cdef double vote, part, total = 0.0, log_all, idf_weight = self._settings.idf_weight
        cdef double before = self._settings.before
        cdef double* fading = self._settings.fading
        cdef Weights* weights = &self._settings.weights
        cdef int32_t index
        cdef int anchor
        cdef int32_t* items
        cdef uint8_t* masks
        cdef Touched* one
        cdef Cell* cell
        n = self._nearest(highest, own, now_ms, n_touched)
        for i in range(n):
            prefetch(&self._lines[self._touched[i].index])
        for i in range(min(n, SOON)):
            self._fetch_cells(self._touched[i].index)
        for i in range(n):
            if i + SOON < n:
                self._fetch_cells(self._touched[i + SOON].index)
            one = &self._touched[i]
            index = one.index
            items, masks = self._items_of(index), self._masks_of(index)
            vote = one.similarity * self._settings.matched[one.matched]
            anchor = place_in(items, self._lines[index].n, prefix[one.matched])
            for j in range(self._lines[index].n):
                part = vote * fading[j - anchor if j >= anchor else anchor - j] * weigh(masks[j], weights)
                n_scored = self._add_score(items[j], part * before if j < anchor else part, n_scored)
        log_all = log(<double>max(1, self.n_sessions))
        for i in range(n_scored):
            cell = &self._cells[self._scored[i]]
            cell.score *= 1.0 + idf_weight * (log_all - cell.log_sessions)
            total += cell.score
        if total > 0:
            for i in range(n_scored):
                self._cells[self._scored[i]].score /= total
        return n_scored

    cdef Py_ssize_t _go_on(self, int32_t code, Own* own, Py_ssize_t n) noexcept:
        """Add the shares of sessions that went on to each product from one; `n` as in `_add_score`."""
        cdef Postings* postings = &self._items[code].all
        cdef Weights* weights = &self._settings.weights
        cdef Py_ssize_t i, n_sessions = 0, reach = self._settings.transition_reach
        cdef Py_ssize_t most = self._settings.transition_sessions, first = postings.n
        cdef int32_t index
        cdef int gap, start
        cdef double weight
        cdef int32_t* items
        cdef uint8_t* masks
        while first and n_sessions < most:
            first -= 1
            n_sessions += not is_own(own, postings.slots[first])
            prefetch(&self._lines[postings.slots[first]])
        weight = self._settings.transition_weight / (n_sessions + self._settings.transition_shrink)
        for i in range(first, postings.n):
            index = postings.slots[i]
            if is_own(own, index):
                continue
            items, masks = self._items_of(index), self._masks_of(index)
            start = place_in(items, self._lines[index].n, code)
            for gap in range(1, reach + 1):
                if start + gap >= self._lines[index].n:
                    break
                n = self._add_score(items[start + gap], weight * weigh(masks[start + gap], weights) / gap, n)
        return n

    cdef inline void _fetch_cells(self, int32_t index) noexcept nogil:
        """Begins to fetch what a query asks of the products of a session."""
        cdef int32_t* items = self._items_of(index)
        cdef int j
        for j in range(self._lines[index].n):
            prefetch(&self._cells[items[j]])

    cdef inline Py_ssize_t _add_score(self, int32_t code, double score, Py_ssize_t n) noexcept nogil:
        """`n`, and what is returned: products with a score so far."""
        cdef Cell* cell = &self._cells[code]
        if cell.score == 0.0 and score != 0.0:
            self._scored[n] = code
            n += 1
        cell.score += score
        return n

    cdef Py_ssize_t _add_coded(
        self, CodedList found, double factor, dict unknown, Py_ssize_t n
    ) except -1:
        """Add what is in a list, as `_add_score` does, and to `unknown` what has left meanwhile."""
        cdef Py_ssize_t i, known = len(self._ids)
        cdef int32_t code
        cdef bint is_same = True
        for i in range(found._size):
            prefetch(&self._cells[found._codes[i]])
        if found._turn == self._turn:
            for i in range(found._size):
                n = self._add_score(found._codes[i], factor * found._shares[i], n)
            return n
        for i in range(found._size):
            code = found._codes[i]
            name = found._names[i]
            if code >= known or PyList_GET_ITEM(self._ids, code) != <PyObject*>name:
                code, is_same = self._code_of(name), False
            if code != NONE:
                n = self._add_score(code, factor * found._shares[i], n)
            else:
                unknown[name] = unknown.get(name, 0.0) + factor * found._shares[i]
        if is_same:
            found._turn = self._turn
        return n

    cdef inline bint _is_behind(self, Ranked* one, Ranked* other) noexcept:
        """Whether a product stands after another: by score, equal ones by id."""
        if one.score != other.score:
            return one.score < other.score
        return <str>self._ids[one.code] > <str>self._ids[other.code]

    cdef Py_ssize_t _select(self, Py_ssize_t n, Py_ssize_t limit) noexcept:
        """Puts the highest `limit` of the scored products into `_ranked`, in order; returns how many they are.

        By grades of their scores first: within one, few products are left to compare.
        """
        cdef int32_t[GRADES] starts
        cdef Py_ssize_t i, before = 0, number
        cdef double score, highest = 0.0
        cdef int grade, lowest = GRADES
        cdef int64_t base
        cdef int32_t code
        if limit > n:
            limit = n
        if not limit:
            return 0
        memset(starts, 0, sizeof(starts))
        for i in range(n):
            score = self._cells[self._scored[i]].score
            highest = score if score > highest else highest
        base = coarse(highest) - (GRADES - 1)
        for i in range(n):
            starts[grade_of(self._cells[self._scored[i]].score, base)] += 1
        while before < limit:
            lowest -= 1
            number = starts[lowest]
            starts[lowest] = <int32_t>before
            before += number
        for i in range(n):
            code = self._scored[i]
            score = self._cells[code].score
            grade = grade_of(score, base)
            if grade >= lowest:
                self._ranked[starts[grade]].code = code
                self._ranked[starts[grade]].score = score
                starts[grade] += 1
        number = 0
        for grade in range(GRADES - 1, lowest - 1, -1):
            self._sort(&self._ranked[number], starts[grade] - number)
            number = starts[grade]
        return limit

    cdef void _sort(self, Ranked* ranked, Py_ssize_t n) noexcept:
        cdef Py_ssize_t i, at
        cdef Ranked one
        if n <= FEW:
            for i in range(1, n):
                one, at = ranked[i], i
                while at and self._is_behind(&ranked[at - 1], &one):
                    ranked[at] = ranked[at - 1]
                    at -= 1
                ranked[at] = one
            return
        for i in range(n // 2 - 1, -1, -1):
            self._sink(ranked, i, n)
        for i in range(n - 1, 0, -1):
            ranked[0], ranked[i] = ranked[i], ranked[0]
            self._sink(ranked, 0, i)

    cdef void _sink(self, Ranked* ranked, Py_ssize_t i, Py_ssize_t n) noexcept:
        """One step of a heap whose root stands last."""
        cdef Ranked one = ranked[i]
        cdef Py_ssize_t child
        while True:
            child = 2 * i + 1
            if child >= n:
                break
            if child + 1 < n and self._is_behind(&ranked[child + 1], &ranked[child]):
                child += 1
            if not self._is_behind(&ranked[child], &one):
                break
            ranked[i] = ranked[child]
            i = child
        ranked[i] = one

    cdef void _clear(self, Py_ssize_t n) noexcept:
        cdef Py_ssize_t i
        for i in range(n):
            self._cells[self._scored[i]].score = 0.0

    cdef void _clear_visits(self, Py_ssize_t n) noexcept:
        cdef Py_ssize_t i
        for i in range(n):
            self._visits[self._scored[i]] = 0

    cdef inline uint32_t _age_of(self, int32_t index) noexcept:
        """Sessions that have begun since this one."""
        return self._n_begun - 1 - self._numbers[index]

    cdef inline Postings* _postings(self, int32_t code, int mask) noexcept:
        return &self._items[code].all if mask & 1 or not mask else &self._items[code].strong

    cdef inline int32_t _code_of(self, product_id) except -2:
        code = self._codes.get(product_id)
        return NONE if code is None else <int32_t>code

    # Changes

    cdef int32_t _code_for(self, product_id) except -1:
        """The code of a product, a new one if it has none."""
        known = self._codes.get(product_id)
        if known is not None:
            return known
        cdef Py_ssize_t room, i, size
        cdef int32_t code
        if not isinstance(product_id, str):
            raise TypeError("the id of a product must be a str")
        if self._free_codes:
            code = self._free_codes.pop()
            self._ids[code] = product_id
        else:
            code = len(self._ids)
            if code >= self._items_room:
                room = 2 * self._items_room if self._items_room else 1_024
                self._items = <Item*>grown(self._items, room * sizeof(Item))
                self._cells = <Cell*>grown(self._cells, room * sizeof(Cell))
                self._scored = <int32_t*>grown(self._scored, room * sizeof(int32_t))
                self._ranked = <Ranked*>grown(self._ranked, room * sizeof(Ranked))
                self._visits = <int32_t*>grown(self._visits, room * sizeof(int32_t))
                for i in range(self._items_room, room):
                    self._items[i] = Item(Postings(NULL, 0, 0), Postings(NULL, 0, 0), 0, 0, 0.0)
                    self._cells[i] = Cell(0.0, 0.0)
                    self._visits[i] = 0
                self._items_room = room
            self._ids.append(product_id)
        self._codes[product_id] = code
        return code

    cdef int _replace(self, int32_t index, int64_t last_ms, int32_t* codes, uint8_t* masks, Py_ssize_t n) except -1:
        """Give a session other products, and its postings with them."""
        cdef Slot* slot = &self._slots[index]
        cdef Line* line = &self._lines[index]
        cdef int32_t[ROOM] old_codes
        cdef uint8_t[ROOM] old_masks
        cdef Py_ssize_t n_old = line.n, i, j
        cdef int before
        memcpy(old_codes, self._items_of(index), n_old * sizeof(int32_t))
        memcpy(old_masks, self._masks_of(index), n_old)
        for i in range(n):
            before = NONE
            for j in range(n_old):
                if old_codes[j] == codes[i]:
                    before = old_masks[j]
                    old_codes[j] = NONE
                    break
            self._post(codes[i], index, before, masks[i])
        slot.last_ms = last_ms
        if n > SHORT:
            slot.long_items = <int32_t*>grown(slot.long_items, n * 5)
            self._bytes += 5 * n
        elif n_old > SHORT:
            free(slot.long_items)
            slot.long_items = NULL
        if n_old > SHORT:
            self._bytes -= 5 * n_old
        line.n = self._sizes[index] = <uint8_t>n
        memcpy(self._items_of(index), codes, n * sizeof(int32_t))
        memcpy(self._masks_of(index), masks, n)
        for j in range(n_old):
            if old_codes[j] != NONE:
                self._unpost(old_codes[j], index, old_masks[j])
        return 0

    cdef int _post(self, int32_t code, int32_t index, int before, uint8_t mask) except -1:
        cdef Item* item = &self._items[code]
        cdef bint was_strong = before != NONE and before & STRONG
        if before == NONE:
            item.n_sessions += 1
            self._cells[code].log_sessions = log(<double>item.n_sessions)
            item.weight += self._weight_of(index)
            self._append(&item.all, index)
        if mask & STRONG and not was_strong:
            item.n_strong += 1
            self._append(&item.strong, index)
        elif was_strong and not mask & STRONG:
            item.n_strong -= 1
            _take_out(&item.strong, index)
        return 0

    cdef double _weight_of(self, int32_t index) noexcept:
        """What a session counts in shares of popularity."""
        if not self._has_landmark:
            self._landmark_ms, self._has_landmark = self._slots[index].start_ms, True
        cdef double half_lives = (self._slots[index].start_ms - self._landmark_ms) / HALF_LIFE_MS
        return exp2(min(1_000.0, half_lives))

    cdef int _append(self, Postings* postings, int32_t index) except -1:
        cdef int32_t room
        if postings.n == self.sessions_per_item:
            memmove(postings.slots, postings.slots + 1, (postings.n - 1) * sizeof(int32_t))
            postings.n -= 1
        elif postings.n == postings.room:
            room = postings.room + postings.room // 2 + 2
            postings.slots = <int32_t*>grown(postings.slots, room * sizeof(int32_t))
            self._bytes += (room - postings.room) * sizeof(int32_t)
            postings.room = room
        postings.slots[postings.n] = index
        postings.n += 1
        return 0

    cdef int _unpost(self, int32_t code, int32_t index, uint8_t mask) except -1:
        cdef Item* item = &self._items[code]
        item.n_sessions -= 1
        self._cells[code].log_sessions = log(<double>max(1, item.n_sessions))
        item.weight -= self._weight_of(index)
        _take_out(&item.all, index)
        if mask & STRONG:
            item.n_strong -= 1
            _take_out(&item.strong, index)
        if not item.n_sessions:
            item.weight = 0.0
            self._bytes -= (item.all.room + item.strong.room) * sizeof(int32_t)
            free(item.all.slots)
            free(item.strong.slots)
            item.all = item.strong = Postings(NULL, 0, 0)
            del self._codes[self._ids[code]]
            self._ids[code] = None
            self._turn += 1
            self._free_codes.append(code)
        return 0

    cdef int32_t _add(self, uint64_t key, int place, int64_t start_ms) except -1:
        """A slot for a session without products, the newest."""
        cdef Py_ssize_t room
        cdef int32_t index = self._free, at
        if index != NONE:
            self._free = self._slots[index].newer
        else:
            if self._used == self._room:
                room = min(2 * self._room if self._room else 1_024, self.max_sessions)
                self._slots = <Slot*>grown(self._slots, room * sizeof(Slot))
                self._grow_lines(room)
                self._sizes = <uint8_t*>grown(self._sizes, room)
                self._numbers = <uint32_t*>grown(self._numbers, room * sizeof(uint32_t))
                self._room = room
            index = self._used
            self._used += 1
        if 2 * (self._n_visitors + 1) > self._table_mask + 1:
            self._resize_table(2 * (self._table_mask + 1))
        cdef Slot* slot = &self._slots[index]
        slot.visitor, slot.start_ms, slot.last_ms = key, start_ms, start_ms
        slot.long_items, slot.place = NULL, <uint8_t>place
        self._lines[index].n = self._sizes[index] = 0
        slot.older, slot.newer = self._newest, NONE
        self._numbers[index] = self._n_begun
        self._n_begun += 1
        if self._newest == NONE:
            self._oldest = index
        else:
            self._slots[self._newest].newer = index
        self._newest = index
        at = self._find(key)
        if at != NONE:
            slot.sibling = self._table[at]
            self._table[at] = index
        else:
            slot.sibling = NONE
            self._enter(index)
            self._n_visitors += 1
        self.n_sessions += 1
        return index

    cdef int _grow_lines(self, Py_ssize_t room) except -1:
        cdef void* raw = grown(NULL, (room + 1) * LINE)
        cdef Line* lines = <Line*>((<size_t>raw + LINE - 1) // LINE * LINE)
        if self._used:
            memcpy(lines, self._lines, self._used * LINE)
        free(self._lines_raw)
        self._lines, self._lines_raw = lines, raw
        return 0

    cdef inline int32_t* _items_of(self, int32_t index) noexcept nogil:
        cdef Line* line = &self._lines[index]
        return &line.items[0] if line.n <= SHORT else self._slots[index].long_items

    cdef inline uint8_t* _masks_of(self, int32_t index) noexcept nogil:
        cdef Line* line = &self._lines[index]
        return &line.masks[0] if line.n <= SHORT else <uint8_t*>(self._slots[index].long_items + line.n)

    cdef int _remove(self, int32_t index) except -1:
        cdef Slot* slot = &self._slots[index]
        cdef Py_ssize_t i, n = self._lines[index].n
        cdef int32_t at = self._find(slot.visitor), one
        for i in range(n):
            self._unpost(self._items_of(index)[i], index, self._masks_of(index)[i])
        if self._table[at] != index:
            one = self._table[at]
            while self._slots[one].sibling != index:
                one = self._slots[one].sibling
            self._slots[one].sibling = slot.sibling
        elif slot.sibling != NONE:
            self._table[at] = slot.sibling
        else:
            self._leave(at)
            self._n_visitors -= 1
        if slot.older == NONE:
            self._oldest = slot.newer
        else:
            self._slots[slot.older].newer = slot.newer
        if slot.newer == NONE:
            self._newest = slot.older
        else:
            self._slots[slot.newer].older = slot.older
        if n > SHORT:
            self._bytes -= 5 * n
        free(slot.long_items)
        slot.long_items = NULL
        self._lines[index].n = self._sizes[index] = 0
        slot.newer = self._free
        self._free = index
        self.n_sessions -= 1
        return 0

    # The table of visitors: open addressing, linear probing

    cdef inline Py_ssize_t _home(self, uint64_t key) noexcept:
        return <Py_ssize_t>((key * <uint64_t>0x9E3779B97F4A7C15ULL) >> 20) & self._table_mask

    cdef int32_t _find(self, uint64_t key) noexcept:
        """Where the table has a visitor, `NONE` if nowhere."""
        cdef Py_ssize_t at = self._home(key)
        while self._table[at] != NONE:
            if self._slots[self._table[at]].visitor == key:
                return <int32_t>at
            at = (at + 1) & self._table_mask
        return NONE

    cdef int32_t _find_session(self, uint64_t key, int place) noexcept:
        cdef int32_t at = self._find(key), index
        index = NONE if at == NONE else self._table[at]
        while index != NONE and self._slots[index].place != place:
            index = self._slots[index].sibling
        return index

    cdef void _enter(self, int32_t index) noexcept:
        cdef Py_ssize_t at = self._home(self._slots[index].visitor)
        while self._table[at] != NONE:
            at = (at + 1) & self._table_mask
        self._table[at] = index

    cdef void _leave(self, Py_ssize_t gap) noexcept:
        """Empties a place and moves what was displaced by it."""
        cdef Py_ssize_t at = gap, home, mask = self._table_mask
        while True:
            at = (at + 1) & mask
            if self._table[at] == NONE:
                break
            home = self._home(self._slots[self._table[at]].visitor)
            if ((at - home) & mask) >= ((at - gap) & mask):
                self._table[gap] = self._table[at]
                gap = at
        self._table[gap] = NONE

    cdef int _resize_table(self, Py_ssize_t size) except -1:
        cdef int32_t* old = self._table
        cdef Py_ssize_t i, n = self._table_mask + 1 if old != NULL else 0
        self._table = <int32_t*>grown(NULL, size * sizeof(int32_t))
        self._table_mask = size - 1
        for i in range(size):
            self._table[i] = NONE
        for i in range(n):
            if old[i] != NONE:
                self._enter(old[i])
        free(old)
        return 0


cdef void _take_out(Postings* postings, int32_t index) noexcept:
    """Remove a session, if it is there. The oldest is looked for first: most that leave are old."""
    cdef int32_t i
    for i in range(postings.n):
        if postings.slots[i] == index:
            postings.n -= 1
            memmove(postings.slots + i, postings.slots + i + 1, (postings.n - i) * sizeof(int32_t))
            return


cdef inline bint _is_worse(double one, Py_ssize_t order, double other, Py_ssize_t than) noexcept nogil:
    return one < other or (one == other and order > than)


cdef Py_ssize_t _offer(
    double* heap, Py_ssize_t* order, Py_ssize_t n, Py_ssize_t k, double value, Py_ssize_t place
) noexcept nogil:
    """Keep the `k` highest of what is offered; of equal ones what came first. Returns how many are kept."""
    cdef Py_ssize_t i, child
    if n < k:
        i = n
        while i and _is_worse(value, place, heap[(i - 1) // 2], order[(i - 1) // 2]):
            heap[i], order[i] = heap[(i - 1) // 2], order[(i - 1) // 2]
            i = (i - 1) // 2
        heap[i], order[i] = value, place
        return n + 1
    if not k or not _is_worse(heap[0], order[0], value, place):
        return n
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and _is_worse(heap[child + 1], order[child + 1], heap[child], order[child]):
            child += 1
        if not _is_worse(heap[child], order[child], value, place):
            break
        heap[i], order[i] = heap[child], order[child]
        i = child
    heap[i], order[i] = value, place
    return n


def _rank(one):
    return -one.score, one.product_id
