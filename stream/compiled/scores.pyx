# cython: language_level=3, boundscheck=False, wraparound=False
"""New scores taken into the states, as `stream.batch.step.take_scores` does it.

About visitors for whom a score may matter to an alert the rules are asked.
"""

from libc.math cimport rint

from stream.compiled.alerts cimport AlertStep
from stream.compiled.judging cimport expect
from stream.compiled.tuples cimport item, need, new_tuple, set_item

include "scores.pxi"  # positions in named tuples, see layout.py

from contracts.predictions import Predictions
from contracts.scores import SCALE
from contracts.visitor import Visitor
from stream.alerts.steps import on_score

need(VISITOR_FIELDS == 10 and PREDICTIONS_FIELDS == 3)

cdef object _Visitor = Visitor, _Predictions = Predictions
cdef double _SCALE = SCALE


def take_scores(result, scores, rules):
    """See `stream.batch.step.take_scores`."""
    cdef AlertStep step = AlertStep(result.prediction_results, set(), rules)
    cdef list purchases = result.prediction_results.purchases
    cdef dict visitors = result.visitors, timers = result.timers
    cdef tuple scored = rules.scored
    cdef long long[5] parts
    cdef long long timer_ms, due_ms
    cdef int i
    cdef bint is_heeded, is_due
    for user_id, score in scores.items():
        visitor = visitors[user_id]
        session, predictions = item(visitor, VISITOR_HEAD), item(visitor, VISITOR_PREDICTIONS)
        alert_state = item(predictions, PREDICTIONS_ALERT_STATE)
        is_heeded = not item(session, SESSION_START_MS) > item(alert_state, VISITOR_ALERTS_SESSION_START_MS)
        if not is_heeded:
            for rule in scored:
                if rule.heeds(session, score):
                    is_heeded = True
                    break
        if is_heeded:
            previous = item(predictions, PREDICTIONS_SCORE)
            alert_state, alerts = on_score(alert_state, user_id, visitor, score, rules, previous=previous)
            if alerts:
                result.prediction_results.add(alerts)
        purchase = item(score, SCORE_PURCHASE)
        purchases.append(purchase)
        chances = item(score, SCORE_PROBABILITIES)
        for i in range(5):
            parts[i] = <long long>rint(<double>item(chances, i) * _SCALE)
        unjudged = expect(
            item(predictions, PREDICTIONS_UNJUDGED),
            item(visitor, VISITOR_ENDED),
            item(score, SCORE_VERSION),
            parts,
            <long long>rint(<double>purchase * _SCALE),
        )
        after = new_tuple(_Predictions, PREDICTIONS_FIELDS)
        set_item(after, PREDICTIONS_SCORE, score)
        set_item(after, PREDICTIONS_ALERT_STATE, alert_state)
        set_item(after, PREDICTIONS_UNJUDGED, unjudged)
        timer_ms, due_ms = item(visitor, VISITOR_TIMER_MS), -1
        if not item(visitor, VISITOR_ENDED):
            due_ms = step.due_ms(session, after)
        is_due = 0 < due_ms and not 0 < timer_ms <= due_ms
        if is_due:
            timer_ms = due_ms
        known = new_tuple(_Visitor, VISITOR_FIELDS)
        for i in range(VISITOR_FIELDS):
            if i == VISITOR_PREDICTIONS:
                set_item(known, i, after)
            elif i == VISITOR_TIMER_MS:
                set_item(known, i, timer_ms)
            else:
                set_item(known, i, item(visitor, i))
        if due_ms < 0:
            result.put(user_id, known, rules)
            continue
        visitors[user_id] = known
        if is_due:
            timers[user_id] = timer_ms
    result.prediction_results.take_from(rules.gate)
