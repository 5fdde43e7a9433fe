# cython: language_level=3, boundscheck=False, wraparound=False
"""Alerts of visitors whom no rule needs to be asked about; about all others the rules are asked.

Who these are the registered rules say, once per batch (`stream.alerts.registry.Calm`).
"""

from cpython.ref cimport Py_DECREF
from cpython.tuple cimport PyTuple_GET_SIZE

cimport cython
from stream.compiled.judging cimport judge_session
from stream.compiled.new_events cimport NewEvent, action_of, digest_bytes, is_within
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "alerts.pxi"  # positions in named tuples, see layout.py

from contracts.predictions import Predictions
from stream.alerts.rules import Fact
from stream.alerts.steps import enter
from stream.scoring.predictions import Arrival, judge_arrival

need(PREDICTIONS_FIELDS == 3)

cdef object _Predictions = Predictions
cdef int _IS_CART = Fact.CART.value, _IS_ADDED = Fact.ADDED.value
cdef int _IS_NOT_BOUGHT = Fact.NOT_BOUGHT.value, _IS_SCORED = Fact.SCORED.value


@cython.final
cdef class AlertStep:
    """What the rules have declared, and the step of one visitor after another of a batch."""

    def __init__(self, results, stale, rules):
        self._results, self._stale, self._rules = results, stale, rules
        self._tally = results.tally
        calm = rules.calm
        self._idle_ms, self._calm_ms = rules.idle_ms, calm.silence_ms
        self._concerns_all, self._deadlines = calm.concerns_all, calm.deadlines
        self._stakes, self._acts_on = mask_of(calm.stakes), mask_of(calm.acts_on)

    cdef object judge(
        self, object user_id, object before, object predictions, object session, NewEvent* new_events, Py_ssize_t size
    ):
        """See `stream.scoring.predictions.judge_arrival`."""
        cdef list actions, stale
        cdef Py_ssize_t i
        alert_state, unjudged = item(predictions, PREDICTIONS_ALERT_STATE), item(predictions, PREDICTIONS_UNJUDGED)
        event_id = item(<object>new_events[size - 1].event, EVENT_EVENT_ID)
        at_stake = self._is_at_stake(before, alert_state, new_events, size)
        if self._must_be_asked(before, alert_state, at_stake, new_events, size):
            actions = [action_of(&new_events[i]) for i in range(size)]
            stale = []
            if self._stale:
                stale = [
                    digest_bytes(&new_events[i])
                    for i in range(size)
                    if item(<object>new_events[i].event, EVENT_EVENT_ID) in self._stale
                ]
            arrival = Arrival(before, actions, stale)
            return judge_arrival(self._results, user_id, arrival, self._rules)
        live = not (self._stale and event_id in self._stale)
        after = enter_session(alert_state, session) if at_stake else alert_state
        if item(after, VISITOR_ALERTS_LIVE) is not live:
            after = copy_tuple(after)
            replace_item(after, VISITOR_ALERTS_LIVE, live)
        left = judge_session(self._tally, unjudged, new_events, size)
        if after is alert_state and left is unjudged:
            return predictions
        judged = new_tuple(_Predictions, PREDICTIONS_FIELDS)
        set_item(judged, PREDICTIONS_SCORE, item(predictions, PREDICTIONS_SCORE))
        set_item(judged, PREDICTIONS_ALERT_STATE, after)
        set_item(judged, PREDICTIONS_UNJUDGED, left)
        return judged

    cdef bint _must_be_asked(
        self, object before, object alert_state, bint at_stake, NewEvent* new_events, Py_ssize_t size
    ) except -1:
        """Whether a rule may decide something; see `stream.alerts.registry.Calm`."""
        cdef Py_ssize_t i
        if self._concerns_all or item(alert_state, VISITOR_ALERTS_OPEN):
            return True
        if item(alert_state, VISITOR_ALERTS_WATCHED):
            return True
        if self._acts_on:
            for i in range(size):
                if self._acts_on >> new_events[i].rank & 1:
                    return True
        return at_stake and not is_within(before, new_events, size, self._calm_ms)

    cdef bint _is_at_stake(
        self, object before, object alert_state, NewEvent* new_events, Py_ssize_t size
    ) except -1:
        """See `stream.alerts.steps`: whether these events can matter to alerts."""
        cdef Py_ssize_t i
        if has_intent(alert_state):
            return True
        if before is not None and item(item(before, VISITOR_HEAD), SESSION_CART):
            return True
        for i in range(size):
            if self._stakes >> new_events[i].rank & 1:
                return True
        return False

    cdef long long due_ms(self, object session, object predictions) except -2:
        """See `stream.scoring.predictions.timer_of`; -1 where it must be asked itself."""
        cdef long long last_ms = item(session, SESSION_LAST_MS), due_ms = last_ms + self._idle_ms, at_ms
        cdef int facts, needs
        score, alert_state = item(predictions, PREDICTIONS_SCORE), item(predictions, PREDICTIONS_ALERT_STATE)
        if self._concerns_all or item(alert_state, VISITOR_ALERTS_OPEN) or item(alert_state, VISITOR_ALERTS_WATCHED):
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
