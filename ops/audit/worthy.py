"""Visitors worth a score: those with a cart or intent may wait for one, but must have it in the end."""

from collections.abc import Mapping, Sequence

from contracts.alerts import CHURN_RISK
from contracts.predictions import NO_PREDICTIONS, Predictions
from ops.audit.abandoned import FETCH_MS, SentEvent
from ops.audit.churn import ChurnAlertRules
from ops.audit.known import cart_of, session_of
from ops.audit.stated_chances import chance_in_state


def check_worthy(
    predictions: Mapping[str, Predictions],
    sent_events: Mapping[str, Sequence[SentEvent]],
    rules: ChurnAlertRules,
    calm_from_ms: int,
) -> tuple[int, list[str]]:
    """How many had a cart or intent when they last acted, and which of them have no score of that.

    Only visitors count whose last action arrived from `calm_from_ms` on, when no worker lost a partition, and
    in time for the look into the silence after it: who waits until then waits no longer.
    """
    within_ms = min(rules.look_again_ms, rules.idle_ms) + rules.disorder_ms
    number, unscored = 0, []
    for user, mine in sent_events.items():
        if mine[-1].arrived_ms < calm_from_ms or not is_in_time(mine, within_ms):
            continue
        known = predictions.get(user, NO_PREDICTIONS)
        if cart_of(mine) or _has_intent(known, session_of(mine, rules.idle_ms)[0].at_ms, rules):
            number += 1
            if chance_in_state(user, known, mine[-1].at_ms) is None:
                unscored.append(user)
    return number, unscored


def is_in_time(mine: Sequence[SentEvent], within_ms: int) -> bool:
    """Whether all that a visitor did was surely applied so long after the last of it happened."""
    return max(sent_event.arrived_ms for sent_event in mine) + FETCH_MS <= mine[-1].at_ms + within_ms


def _has_intent(predictions: Predictions, session_start_ms: int, rules: ChurnAlertRules) -> bool:
    """Whether the state has intent in this session, by its alerts or by the newest score there is."""
    score, alert_state, _ = predictions
    if alert_state.session_start_ms == session_start_ms and alert_state.of(CHURN_RISK).intent:
        return True
    return score is not None and score.at_ms >= session_start_ms and score.purchase >= rules.intent
