# cython: language_level=3, boundscheck=False, wraparound=False
"""States of visitors as MessagePack, byte for byte as `contracts.visitor.pack_visitor` has them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport rint
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from stream.compiled.tuples cimport item, need

include "packing.pxi"  # positions in named tuples, see layout.py

import msgpack

from contracts.alerts import CART_ABANDONED, CHURN_RISK
from contracts.visitor_alerts import NO_ALERTS, NOTHING_KEPT, pack_alerts
from contracts.predictions import NO_PREDICTIONS
from contracts.scores import ALL_JUDGED, SCALE
from contracts.visitor import FORMAT, pack_visitor

need(VISITOR_PREDICTIONS == VISITOR_FIELDS - 2 and VISITOR_EXTRA == VISITOR_FIELDS - 1)  # see contracts.visitor.pack_visitor
need(PREDICTIONS_SCORE == 0 and PREDICTIONS_ALERT_STATE == 1 and PREDICTIONS_UNJUDGED == 2 and PREDICTIONS_FIELDS == 3)
need(
    SCORE_VERSION == 0 and SCORE_AT_MS == 1 and SCORE_ACTIONS == 2 and SCORE_SESSION == 3 and SCORE_PROBABILITIES == 4
    and SCORE_PURCHASE == 5 and SCORE_REASONS == 6 and SCORE_FIELDS == 7
)  # packed in this order
need(VISITOR_ALERTS_FIELDS == 7)  # see contracts.visitor_alerts.pack_alerts

_pack_other = msgpack.Packer(use_bin_type=True).pack
cdef object _NO_PREDICTIONS = NO_PREDICTIONS, _NO_ALERTS = NO_ALERTS, _ALL_JUDGED = ALL_JUDGED
cdef object _NOTHING_KEPT = NOTHING_KEPT
cdef str _CHURN_RISK = CHURN_RISK, _CART_ABANDONED = CART_ABANDONED
cdef int _FORMAT = FORMAT
cdef double _SCALE = SCALE

cdef enum:
    FLAT_FIELDS = 9  # of an alert state, see contracts.visitor_alerts.pack_alerts


cdef class Packer:
    """Values behind each other in the smallest encodings of the MessagePack specification."""

    def __dealloc__(self):
        PyMem_Free(self._data)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room
        cdef char* data
        if self.size + more > self._room:
            room = 2 * (self.size + more)
            data = <char*>PyMem_Realloc(self._data, room)
            if data == NULL:
                raise MemoryError()
            self._data, self._room = data, room
        return 0

    cdef int put_array(self, Py_ssize_t length) except -1:
        return self._put_head(length, 0x90, 15, 0, 0xdc, 0xdd)

    cdef int put_int(self, long long value) except -1:
        self.reserve(9)
        if 0 <= value < 0x80 or -0x20 <= value < 0:
            self._data[self.size] = <char>value
            self.size += 1
        elif value >= 0:
            if value <= 0xff:
                self._put_number(0xcc, <uint64_t>value, 1)
            elif value <= 0xffff:
                self._put_number(0xcd, <uint64_t>value, 2)
            elif value <= 0xffffffff:
                self._put_number(0xce, <uint64_t>value, 4)
            else:
                self._put_number(0xcf, <uint64_t>value, 8)
        elif value >= -0x80:
            self._put_number(0xd0, <uint64_t>value, 1)
        elif value >= -0x8000:
            self._put_number(0xd1, <uint64_t>value, 2)
        elif value >= -0x80000000LL:
            self._put_number(0xd2, <uint64_t>value, 4)
        else:
            self._put_number(0xd3, <uint64_t>value, 8)
        return 0

    cdef int put_raw(self, const char* data, Py_ssize_t length) except -1:
        self.reserve(length)
        memcpy(self._data + self.size, data, length)
        self.size += length
        return 0

    cdef int put_bytes(self, const char* data, Py_ssize_t length) except -1:
        self._put_head(length, 0, -1, 0xc4, 0xc5, 0xc6)
        return self.put_raw(data, length)

    cdef int put_text(self, str value) except -1:
        cdef Py_ssize_t length
        cdef const char* data = PyUnicode_AsUTF8AndSize(value, &length)
        self._put_head(length, 0xa0, 31, 0xd9, 0xda, 0xdb)
        return self.put_raw(data, length)

    cdef int put(self, object value) except -1:
        """Any value of a state; what is not built of plain ones goes through msgpack."""
        cdef long long number
        cdef int is_beyond = 0
        cdef Py_ssize_t i, length
        kind = type(value)
        if kind is int:
            number = PyLong_AsLongLongAndOverflow(value, &is_beyond)
            if not is_beyond:
                return self.put_int(number)
        elif kind is str:
            return self.put_text(<str>value)
        elif value is None:
            return self._put_byte(0xc0)
        elif kind is bytes:
            return self.put_bytes(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
        elif kind is bool:
            return self._put_byte(0xc3 if value else 0xc2)
        elif isinstance(value, tuple):
            length = PyTuple_GET_SIZE(value)
            self.put_array(length)
            for i in range(length):
                self.put(item(value, i))
            return 0
        elif kind is dict:
            self._put_head(len(<dict>value), 0x80, 15, 0, 0xde, 0xdf)
            for key, held in (<dict>value).items():
                self.put(key)
                self.put(held)
            return 0
        packed = _pack_other(value)
        return self.put_raw(PyBytes_AS_STRING(packed), PyBytes_GET_SIZE(packed))

    cdef bytes taken(self):
        """What was put; the buffer is empty after it."""
        cdef Py_ssize_t size = self.size
        self.size = 0
        return PyBytes_FromStringAndSize(self._data, size)

    cdef int _put_byte(self, uint8_t byte) except -1:
        self.reserve(1)
        self._data[self.size] = <char>byte
        self.size += 1
        return 0

    cdef int _put_head(
        self, Py_ssize_t length, uint8_t small, Py_ssize_t largest_small, uint8_t one, uint8_t two, uint8_t four
    ) except -1:
        """The head of a string, an array or a map; a kind without a head of one byte says 0 for it."""
        self.reserve(5)
        if length <= largest_small:
            return self._put_byte(small | <uint8_t>length)
        if one and length <= 0xff:
            self._put_number(one, length, 1)
        elif length <= 0xffff:
            self._put_number(two, length, 2)
        else:
            self._put_number(four, length, 4)
        return 0

    cdef void _put_number(self, uint8_t head, uint64_t value, int width) noexcept:
        """A head and a big-endian number; there must be room."""
        cdef int i
        self._data[self.size] = <char>head
        for i in range(width):
            self._data[self.size + width - i] = <char>(value >> (8 * i))
        self.size += width + 1


cdef Packer _packer = Packer()


cpdef list pack_visitors(object visitors):
    """The blob of each visitor."""
    cdef list blobs = []
    cdef Py_ssize_t i
    cdef Packer packer = _packer
    packer.size = 0  # of a call that was broken off
    for visitor in visitors:
        alert_state = item(item(visitor, VISITOR_PREDICTIONS), PREDICTIONS_ALERT_STATE)
        is_watched = item(alert_state, VISITOR_ALERTS_WATCHED) or item(alert_state, VISITOR_ALERTS_COUNTED)
        if is_watched or item(visitor, VISITOR_EXTRA):
            blobs.append(pack_visitor(visitor))
            continue
        packer.put_array(VISITOR_PREDICTIONS + 2)
        packer.put_int(_FORMAT)
        for i in range(VISITOR_PREDICTIONS):
            packer.put(item(visitor, i))
        _put_predictions(packer, item(visitor, VISITOR_PREDICTIONS))
        blobs.append(packer.taken())
    return blobs


cdef int _put_predictions(Packer packer, object predictions) except -1:
    """See `contracts.predictions.pack_predictions`."""
    if predictions is _NO_PREDICTIONS:
        return packer.put_array(0)
    score, unjudged = item(predictions, PREDICTIONS_SCORE), item(predictions, PREDICTIONS_UNJUDGED)
    alert_state = item(predictions, PREDICTIONS_ALERT_STATE)
    has_alerts = alert_state is not _NO_ALERTS and alert_state != _NO_ALERTS
    has_unjudged = unjudged is not _ALL_JUDGED and unjudged != _ALL_JUDGED
    if score is None and not has_alerts and not has_unjudged:
        return packer.put_array(0)
    packer.put_array(PREDICTIONS_FIELDS)
    if score is None:
        packer.put(None)
    else:
        _put_score(packer, score)
    if has_alerts:
        _put_alerts(packer, alert_state)
    else:
        packer.put_array(0)
    return packer.put(unjudged) if has_unjudged else packer.put_array(0)


cdef int _put_score(Packer packer, object score) except -1:
    """See `contracts.scores.pack_score`."""
    packer.put_array(SCORE_FIELDS)
    packer.put(item(score, SCORE_VERSION))
    packer.put(item(score, SCORE_AT_MS))
    packer.put(item(score, SCORE_ACTIONS))
    packer.put(item(score, SCORE_SESSION))
    chances, reasons = item(score, SCORE_PROBABILITIES), item(score, SCORE_REASONS)
    packer.put_array(len(chances))
    for chance in chances:
        packer.put_int(<long long>rint(<double>chance * _SCALE))
    packer.put_int(<long long>rint(<double>item(score, SCORE_PURCHASE) * _SCALE))
    packer.put_array(len(reasons))
    for code, effect in reasons:
        packer.put_array(2)
        packer.put(code)
        packer.put_int(<long long>rint(<double>effect * _SCALE))
    return 0


cdef int _put_alerts(Packer packer, object alert_state) except -1:
    """See `contracts.visitor_alerts.pack_alerts`, of an alert state that is not `NO_ALERTS`."""
    cdef dict kinds = item(alert_state, VISITOR_ALERTS_KINDS)
    churn, cart = kinds.get(_CHURN_RISK, _NOTHING_KEPT), kinds.get(_CART_ABANDONED, _NOTHING_KEPT)
    known = (churn is not _NOTHING_KEPT) + (cart is not _NOTHING_KEPT)
    if item(alert_state, VISITOR_ALERTS_OPEN) or len(kinds) != known:
        return packer.put(pack_alerts(alert_state))
    packer.put_array(FLAT_FIELDS)
    packer.put(item(alert_state, VISITOR_ALERTS_SESSION))
    packer.put(item(alert_state, VISITOR_ALERTS_SESSION_START_MS))
    packer.put_array(2)
    packer.put(item(churn, KIND_STATE_EPISODES))
    packer.put(item(cart, KIND_STATE_EPISODES))
    packer.put(item(churn, KIND_STATE_ARMED))
    packer.put(item(churn, KIND_STATE_INTENT))
    packer.put_array(2)
    packer.put(item(churn, KIND_STATE_QUIET_UNTIL_MS))
    packer.put(item(cart, KIND_STATE_QUIET_UNTIL_MS))
    packer.put(item(churn, KIND_STATE_LOOKED_MS))
    packer.put(item(alert_state, VISITOR_ALERTS_LIVE))
    return packer.put_array(0)
