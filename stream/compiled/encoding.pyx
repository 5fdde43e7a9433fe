# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a model reads of live visitors, as `models.next_action.encoding` makes it, from their packed actions.

The fold of `models.next_action.fold` and the aggregates of `models.next_action.context` once more, over arrays
of C instead of Python's lists. A visitor whose state holds anything unusual goes the way of the definition.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport log, log1p
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp, memmove, memset

cimport cython
from stream.compiled.packed cimport Name, is_same, read_int, read_name
from stream.compiled.tuples cimport item, need

include "encoding.pxi"  # positions in named tuples, see layout.py

import numpy as np

from contracts.carts import MAX_CART_LINES
from models.next_action.encoding import encode_visitor
from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES
from models.next_action.fold import DAY_MINUTES, MAX_STEPS

need(
    ACTION_AT_MS == 0 and ACTION_RANK == 1 and ACTION_DIGEST == 2 and ACTION_PRODUCT_ID == 3 and ACTION_QUANTITY == 4
    and ACTION_PRICE_MINOR == 5 and ACTION_CURRENCY == 6 and ACTION_CATEGORY == 7 and ACTION_BRAND == 8
    and ACTION_SESSION_ID == 9 and ACTION_FIELDS == 10
)  # read in this order
need(RANKS == 5 and RANK_VIEW == 0 and RANK_FAVORITE == 1 and RANK_CART == 2)
need(RANK_REMOVE_FROM_CART == 3 and RANK_PURCHASE == 4)

cdef enum:
    N_STEP = 28
    N_CONTEXT = 56
    SEEN_STEPS = 32  # MAX_STEPS
    MOST_ACTIONS = 1_024
    MOST_LINES = 256

need(len(STEP_FEATURES) == N_STEP and len(CONTEXT_FEATURES) == N_CONTEXT and MAX_STEPS == SEEN_STEPS)
need(MAX_CART_LINES < MOST_LINES)

cdef int64_t _NEVER_MS = -(<int64_t>1 << 62), _LARGEST = <int64_t>1 << 40
cdef int _NEVER = -(1 << 30), _FULL_CART = MAX_CART_LINES
cdef double[1_440] _SIN
cdef double[1_440] _COS
for _minute in range(1_440):
    _SIN[_minute], _COS[_minute] = DAY_MINUTES[_minute]


cdef struct Line:
    Name product
    int64_t quantity
    int64_t price_minor  # 0: none
    int64_t added_ms


cdef struct Act:
    # One action of the tail, and what is known of it once it is pushed.
    int64_t at_ms
    int64_t gap_ms
    int64_t quantity
    int64_t price_minor
    double price_log
    int rank
    bint has_price
    Name product
    Name category
    Name brand
    int product_no  # the same number for the same name
    int category_no  # -1: none
    int brand_no


@cython.final
cdef class VisitorFold:
    """See `models.next_action.fold.Fold`: one visitor after another."""

    cdef Act* _acts
    cdef Line* _lines
    cdef int* _product_at
    cdef int* _earlier_at
    cdef int* _category_at
    cdef int* _brand_at
    cdef int _size, _lines_size, _first, _n_products, _n_categories, _n_brands
    cdef int64_t _number, _first_ms, _start_ms, _last_ms, _session_gap_ms, _cart_units, _cart_value, _idle_ms
    cdef int64_t[RANKS] _counts
    cdef int64_t[RANKS] _previous
    cdef int64_t[RANKS] _history
    cdef int[RANKS] _rank_at
    cdef bint _has_level, _was_in_cart
    cdef double _level

    def __cinit__(self, idle_ms):
        self._idle_ms = idle_ms
        self._acts = <Act*>PyMem_Malloc(MOST_ACTIONS * sizeof(Act))
        self._lines = <Line*>PyMem_Malloc(MOST_LINES * sizeof(Line))
        self._product_at = <int*>PyMem_Malloc(4 * MOST_ACTIONS * sizeof(int))
        if self._acts == NULL or self._lines == NULL or self._product_at == NULL:
            raise MemoryError()
        self._earlier_at = self._product_at + MOST_ACTIONS
        self._category_at = self._earlier_at + MOST_ACTIONS
        self._brand_at = self._category_at + MOST_ACTIONS

    def __dealloc__(self):
        PyMem_Free(self._acts)
        PyMem_Free(self._lines)
        PyMem_Free(self._product_at)

    cdef int encode(self, object visitor, object level, float* steps, Py_ssize_t room, float* context) except -2:
        """Fill in at most `room` rows of a visitor; their number, or -1 if the definition must be asked."""
        cdef Act* act
        cdef int64_t head_start_ms = item(item(visitor, VISITOR_HEAD), SESSION_START_MS)
        cdef int i, unread, rows = 0
        cdef bint has_row
        cdef float* row = steps
        self._level, self._has_level = item(level, PRICE_LEVEL_MEAN_LOG), bool(item(level, PRICE_LEVEL_WEIGHT))
        if not self._read(item(visitor, VISITOR_TAIL)) or not self._resume(visitor):
            return -1
        self._number_names()
        unread = self._size - SEEN_STEPS
        for i in range(self._size):
            act = &self._acts[i]
            act.gap_ms = act.at_ms - self._last_ms
            if act.gap_ms > self._idle_ms:
                self._begin_session(i)
                act.gap_ms = 0
                if rows:
                    return -1
            self._last_ms = act.at_ms
            self._counts[act.rank] += 1
            self._was_in_cart = self._line_of(&act.product) >= 0
            if act.rank >= RANK_CART and not self._change_cart(act):
                return -1
            act.price_log = log(<double>act.price_minor) if act.price_minor else 0.0
            has_row = i >= unread and act.at_ms >= head_start_ms
            if has_row:
                if rows == room:
                    return -1
                row = steps + rows * N_STEP
                self._put_row(i, row)
                rows += 1
            self._rank_at[act.rank] = self._product_at[act.product_no] = i
            if act.category_no >= 0:
                self._category_at[act.category_no] = i
            if act.brand_no >= 0:
                self._brand_at[act.brand_no] = i
        if not rows:
            return -1
        self._put_context(row, context)
        return rows

    # -- what the state holds --------------------------------------------------------------------------

    cdef bint _read(self, object tail) except -1:
        """Take the actions of a tail; False for anything that is not packed as this version packs it."""
        cdef bytes packed = item(tail, TAIL_PACKED)
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(packed)
        cdef const uint8_t* end = at + PyBytes_GET_SIZE(packed)
        cdef int64_t rank
        cdef Name other
        cdef Act* act
        cdef int i
        self._size = 0
        if not 0 < item(tail, TAIL_SIZE) <= MOST_ACTIONS:
            return False
        for i in range(<int>item(tail, TAIL_SIZE)):
            act = &self._acts[i]
            if at >= end or at[0] != 0x90 | ACTION_FIELDS:
                return False
            at = read_int(at + 1, end, &act.at_ms)
            at = read_int(at, end, &rank)
            at = read_name(at, end, &other)  # the digest
            at = read_name(at, end, &act.product)
            at = read_int(at, end, &act.quantity)
            if at == NULL or at >= end:
                return False
            act.has_price, act.price_minor = at[0] != 0xc0, 0
            at = read_int(at, end, &act.price_minor) if act.has_price else at + 1
            at = read_name(at, end, &other)  # the currency
            at = read_name(at, end, &act.category)
            at = read_name(at, end, &act.brand)
            at = read_name(at, end, &other)  # the session
            if at == NULL or not 0 <= rank < RANKS or act.product.text == NULL or act.at_ms < 0:
                return False
            if not 0 <= act.quantity < _LARGEST or not 0 <= act.price_minor < _LARGEST:
                return False
            act.rank = <int>rank
        self._size = item(tail, TAIL_SIZE)
        return at == end

    cdef bint _resume(self, object visitor) except -1:
        """See `Fold.resume`; False for a cart that is larger than any."""
        cdef int i
        totals, base = item(visitor, VISITOR_TOTALS), item(visitor, VISITOR_BASE)
        self._first_ms = item(totals, TOTALS_FIRST_MS)
        self._start_ms = self._last_ms = _NEVER_MS
        self._number = self._session_gap_ms = self._cart_units = self._cart_value = 0
        self._lines_size = self._first = 0
        for i in range(RANKS):
            self._counts[i] = self._previous[i] = self._history[i] = 0
            self._rank_at[i] = _NEVER
        if base is None:
            return True
        counts, known = item(totals, TOTALS_COUNTS), item(base, SESSION_COUNTS)
        for i in range(RANKS):
            self._counts[i] = item(known, i)
            self._history[i] = <int64_t>item(counts, i) - self._counts[i]
        for i in range(self._size):
            self._history[self._acts[i].rank] -= 1
        self._number = item(base, SESSION_NUMBER)
        self._start_ms, self._last_ms = item(base, SESSION_START_MS), item(base, SESSION_LAST_MS)
        return self._take_cart(item(base, SESSION_CART))

    cdef bint _take_cart(self, dict cart) except -1:
        cdef Line* line
        if len(cart) >= MOST_LINES:
            return False
        for product, held in cart.items():
            line = &self._lines[self._lines_size]
            line.product.text = PyUnicode_AsUTF8AndSize(product, &line.product.size)
            line.quantity, price = item(held, CART_LINE_QUANTITY), item(held, CART_LINE_PRICE_MINOR)
            line.price_minor = price or 0
            line.added_ms = item(held, CART_LINE_ADDED_MS)
            if not 0 <= line.quantity < _LARGEST or not 0 <= line.price_minor < _LARGEST:
                return False
            if not self._add_to_cart(line, 1):
                return False
            self._lines_size += 1
        return True

    cdef void _number_names(self) noexcept:
        """Give the same names the same number; no name is looked up in a table of Python."""
        cdef int i, j
        cdef Act* act
        self._n_products = self._n_categories = self._n_brands = 0
        for i in range(self._size):
            act = &self._acts[i]
            act.product_no = -1
            for j in range(i - 1, -1, -1):
                if is_same(&act.product, &self._acts[j].product):
                    act.product_no = self._acts[j].product_no
                    break
            if act.product_no < 0:
                act.product_no = self._n_products
                self._product_at[self._n_products] = self._earlier_at[self._n_products] = _NEVER
                self._n_products += 1
            act.category_no = act.brand_no = -1
            if act.category.text != NULL:
                for j in range(i - 1, -1, -1):
                    if self._acts[j].category.text != NULL and is_same(&act.category, &self._acts[j].category):
                        act.category_no = self._acts[j].category_no
                        break
                if act.category_no < 0:
                    act.category_no = self._n_categories
                    self._category_at[self._n_categories] = _NEVER
                    self._n_categories += 1
            if act.brand.text != NULL:
                for j in range(i - 1, -1, -1):
                    if self._acts[j].brand.text != NULL and is_same(&act.brand, &self._acts[j].brand):
                        act.brand_no = self._acts[j].brand_no
                        break
                if act.brand_no < 0:
                    act.brand_no = self._n_brands
                    self._brand_at[self._n_brands] = _NEVER
                    self._n_brands += 1

    # -- the fold --------------------------------------------------------------------------------------

    cdef void _begin_session(self, int index) noexcept:
        cdef Act* act = &self._acts[index]
        cdef int i
        for i in range(RANKS):
            self._history[i] += self._counts[i]
            self._previous[i], self._counts[i], self._rank_at[i] = self._counts[i], 0, _NEVER
        if self._number:
            self._session_gap_ms = act.gap_ms
        self._number += 1
        self._start_ms, self._first = act.at_ms, index
        for i in range(self._n_products):
            if self._product_at[i] != _NEVER:
                self._earlier_at[i], self._product_at[i] = self._product_at[i], _NEVER
        for i in range(self._n_categories):
            self._category_at[i] = _NEVER
        for i in range(self._n_brands):
            self._brand_at[i] = _NEVER

    cdef int _line_of(self, Name* product) noexcept:
        cdef int i
        for i in range(self._lines_size):
            if is_same(product, &self._lines[i].product):
                return i
        return -1

    cdef bint _add_to_cart(self, Line* line, int sign) noexcept:
        """Count a line that came or went; False where the sums would leave what is exact here."""
        if line.price_minor and line.quantity > (<int64_t>1 << 61) // line.price_minor:
            return False
        self._cart_units += sign * line.quantity
        self._cart_value += sign * line.quantity * line.price_minor
        return -(<int64_t>1 << 61) < self._cart_value < <int64_t>1 << 61

    cdef void _drop_line(self, int place) noexcept:
        self._lines_size -= 1
        memmove(&self._lines[place], &self._lines[place + 1], (self._lines_size - place) * sizeof(Line))

    cdef bint _change_cart(self, Act* act) noexcept:
        """See `contracts.carts.change_cart`; False where the definition must be asked."""
        cdef int place
        cdef Line* line
        if act.rank == RANK_PURCHASE and not act.product.size:
            self._lines_size = 0
            self._cart_units = self._cart_value = 0
            return True
        place = self._line_of(&act.product)
        if place < 0 and act.rank != RANK_CART:
            return True
        if place < 0:
            if self._lines_size >= _FULL_CART:
                self._add_to_cart(&self._lines[0], -1)
                self._drop_line(0)
            place = self._lines_size
            self._lines_size += 1
            line = &self._lines[place]
            line.product, line.quantity, line.price_minor = act.product, 0, 0
        line = &self._lines[place]
        self._add_to_cart(line, -1)
        if act.rank == RANK_CART:
            line.quantity += act.quantity
            line.added_ms = act.at_ms
            if act.has_price:
                line.price_minor = act.price_minor
            return self._add_to_cart(line, 1)
        if act.rank == RANK_REMOVE_FROM_CART and line.quantity > act.quantity:
            line.quantity -= act.quantity
            return self._add_to_cart(line, 1)
        self._drop_line(place)
        return True

    cdef void _put_row(self, int index, float* row) noexcept:
        """See `Fold._row`; the action has not been noted among those before."""
        cdef Act* act = &self._acts[index]
        cdef Act* other
        cdef int low = max(self._first, index - SEEN_STEPS), i, priced = 0, times = 0
        cdef int product_at = self._product_at[act.product_no]
        cdef int category_at = _NEVER if act.category_no < 0 else self._category_at[act.category_no]
        cdef int brand_at = _NEVER if act.brand_no < 0 else self._brand_at[act.brand_no]
        cdef int minute = <int>(act.at_ms // 60_000 % 1_440)
        cdef double logs = 0.0
        for i in range(low, index):
            other = &self._acts[i]
            logs += other.price_log
            priced += other.price_minor != 0
            times += other.product_no == act.product_no
        memset(row, 0, N_STEP * sizeof(float))
        row[act.rank] = 1.0
        row[5] = log1p(act.gap_ms / 1e3)
        row[6] = log1p((act.at_ms - self._start_ms) / 1e3)
        row[7] = log1p(<double>self._n_actions())
        row[8] = product_at == index - 1
        row[9] = category_at == index - 1
        row[10] = brand_at == index - 1
        row[11] = product_at >= low
        row[12] = category_at >= low
        row[13] = brand_at >= low
        row[14] = self._earlier_at[act.product_no] >= index - SEEN_STEPS
        row[15] = log1p(<double>times) if product_at >= low else 0.0
        row[16] = act.category.text != NULL
        row[17] = act.brand.text != NULL
        if act.price_minor:
            row[18] = 1.0
            if priced:
                row[19] = act.price_log - logs / priced
            if self._has_level:
                row[20] = act.price_log - self._level
        row[21] = self._was_in_cart
        row[22] = log1p(<double>self._lines_size)
        row[23] = self._cart_value > 0
        if self._cart_value and self._has_level:
            row[24] = log(<double>self._cart_value) - self._level
        row[25] = log1p(<double>act.quantity)
        row[26], row[27] = _SIN[minute], _COS[minute]

    cdef int64_t _n_actions(self) noexcept:
        return self._counts[0] + self._counts[1] + self._counts[2] + self._counts[3] + self._counts[4]

    # -- the aggregates --------------------------------------------------------------------------------

    cdef void _put_context(self, float* row, float* context) noexcept:
        """See `models.next_action.context.context_row`."""
        cdef int last = self._size - 1, low = max(self._first, self._size - SEEN_STEPS), i
        cdef int64_t n = self._n_actions()
        cdef int products = self._distinct(low, 0)
        cdef Line* line
        cdef int64_t added_ms = _NEVER_MS, longest_ms = 0
        cdef int carried = 0, done = 0, run, times = 0, brand_times = 0, earlier = 0, priced = 0
        cdef double last_gap, mean_gap, duration_s, logs = 0.0
        cdef Act* act = &self._acts[last]
        cdef Act* other
        cdef float* at = context
        # Counts.
        at[0] = log1p(<double>n)
        for i in range(RANKS):
            at[1 + i] = log1p(<double>self._counts[i])
        at[6] = log1p(<double>products)
        at[7] = log1p(<double>self._distinct(low, 1))
        at[8] = log1p(<double>self._distinct(low, 2))
        at[9] = 1.0 - <double>products / (self._size - low)
        # The cart.
        for i in range(self._lines_size):
            line = &self._lines[i]
            added_ms = max(added_ms, line.added_ms)
            carried += line.added_ms < self._start_ms
        at[10] = row[22]
        at[11] = log1p(<double>self._cart_units)
        at[12], at[13] = row[23], row[24]
        at[14] = log1p((self._last_ms - added_ms) / 1e3) if self._lines_size else 0.0
        at[15] = log1p(<double>carried)
        # The pace.
        for i in range(low, self._size):
            longest_ms = max(longest_ms, self._acts[i].gap_ms)
        duration_s = (self._last_ms - self._start_ms) / 1e3
        last_gap = log1p(act.gap_ms / 1e3)
        mean_gap = log1p(duration_s / (n - 1)) if n > 1 else 0.0
        at[16], at[17], at[18] = log1p(duration_s), mean_gap, last_gap
        at[19] = log1p(self._acts[last - 1].gap_ms / 1e3) if self._size - low > 1 else 0.0
        at[20], at[21] = log1p(longest_ms / 1e3), last_gap - mean_gap
        # What came before the session.
        at[22] = log1p(<double>self._number)
        at[23] = log1p(<double>sum_of(self._history))
        at[24] = log1p(<double>self._history[RANK_CART])
        at[25] = log1p(<double>self._history[RANK_PURCHASE])
        at[26] = at[27] = at[28] = at[29] = 0.0
        if n <= SEEN_STEPS:
            at[26] = log1p(self._session_gap_ms / 1e3)
            at[27] = log1p(<double>sum_of(self._previous))
            at[28] = log1p(<double>self._previous[RANK_CART])
            at[29] = log1p(<double>self._previous[RANK_PURCHASE])
        at[30] = log1p((self._last_ms - self._first_ms) / 1e3)
        # Since when.
        at[31] = log1p(<double>min(last - self._rank_at[RANK_CART], SEEN_STEPS))
        at[32] = log1p(<double>min(last - self._rank_at[RANK_REMOVE_FROM_CART], SEEN_STEPS))
        at[33] = log1p(<double>min(last - self._rank_at[RANK_PURCHASE], SEEN_STEPS))
        at[34], at[35] = self._time_since(RANK_CART), self._time_since(RANK_PURCHASE)
        # The product, and names.
        for i in range(low, self._size):
            other = &self._acts[i]
            if other.product_no == act.product_no:
                done |= 1 << other.rank
            times += act.category_no >= 0 and other.category_no == act.category_no
            brand_times += act.brand_no >= 0 and other.brand_no == act.brand_no
            logs += other.price_log
            priced += other.price_minor != 0
        run = 1
        while last - run >= low and self._acts[last - run].product_no == act.product_no:
            run += 1
        at[36], at[37] = row[15], log1p(<double>run)
        at[38] = self._line_of(&act.product) >= 0
        at[39], at[40] = done >> RANK_CART & 1, done >> RANK_REMOVE_FROM_CART & 1
        at[41], at[42] = done >> RANK_PURCHASE & 1, row[14]
        at[43], at[44], at[45] = log1p(<double>times), 0.0, 0.0
        if act.category_no >= 0:
            run = 1
            while last - run >= low and self._acts[last - run].category_no == act.category_no:
                run += 1
            at[44] = log1p(<double>run)
            for i in range(max(0, self._size - SEEN_STEPS), self._first):
                earlier += self._acts[i].category_no == act.category_no
            at[45] = log1p(<double>earlier)
        at[46], at[47], at[48] = log1p(<double>brand_times), row[16], row[17]
        at[49], at[50], at[51] = row[18], row[19], row[20]
        at[52], at[53] = priced > 0, 0.0
        if priced and self._has_level:
            at[53] = logs / priced - self._level
        at[54], at[55] = row[26], row[27]

    cdef int _distinct(self, int low, int kind) noexcept:
        """How many products (0), categories (1) or brands (2) there are from `low` on."""
        cdef int i, found = 0
        cdef int* latest = self._product_at if kind == 0 else self._category_at if kind == 1 else self._brand_at
        cdef int n = self._n_products if kind == 0 else self._n_categories if kind == 1 else self._n_brands
        for i in range(n):
            found += latest[i] >= low
        return found

    cdef double _time_since(self, int rank) noexcept:
        cdef int i
        for i in range(self._size - 1, max(0, self._size - SEEN_STEPS) - 1, -1):
            if self._acts[i].rank == rank:
                return log1p((self._last_ms - self._acts[i].at_ms) / 1e3)
        return 0.0


cdef inline int64_t sum_of(int64_t* counts) noexcept:
    return counts[0] + counts[1] + counts[2] + counts[3] + counts[4]


def encode_visitors(visitors, levels, idle_ms):
    """See `models.next_action.encoding.encode_visitors`."""
    cdef Py_ssize_t n = len(visitors), i, width = 1
    cdef int64_t most
    cdef int made
    cdef VisitorFold fold = VisitorFold(idle_ms)
    cdef Py_buffer rows, contexts, sizes
    for visitor in visitors:
        counts = item(item(visitor, VISITOR_HEAD), SESSION_COUNTS)
        most = min(<int64_t>item(item(visitor, VISITOR_TAIL), TAIL_SIZE), SEEN_STEPS)
        width = max(width, min(most, <int64_t>sum(counts)))
    steps = np.zeros((n, width, N_STEP), np.float32)
    lengths, context = np.zeros(n, np.int64), np.zeros((n, N_CONTEXT), np.float32)
    PyObject_GetBuffer(steps, &rows, PyBUF_WRITABLE)
    PyObject_GetBuffer(lengths, &sizes, PyBUF_WRITABLE)
    PyObject_GetBuffer(context, &contexts, PyBUF_WRITABLE)
    try:
        for i in range(n):
            made = fold.encode(
                visitors[i], levels[i], <float*>rows.buf + i * width * N_STEP, width, <float*>contexts.buf + i * N_CONTEXT
            )
            if made < 0:
                known, own = encode_visitor(visitors[i], levels[i], idle_ms)
                made = len(known)
                steps[i] = 0.0
                steps[i, :made], context[i] = known, own
            (<int64_t*>sizes.buf)[i] = made
    finally:
        PyBuffer_Release(&rows)
        PyBuffer_Release(&sizes)
        PyBuffer_Release(&contexts)
    longest = int(lengths.max(initial=1))
    return (steps if longest == width else steps[:, :longest]), lengths, context
