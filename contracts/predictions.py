"""What is expected of a visitor: the newest score, the state of alerts and the predictions not yet judged."""

from typing import Any, NamedTuple

from contracts.scores import (
    ALL_JUDGED,
    Score,
    Unjudged,
    pack_score,
    pack_unjudged,
    unpack_score,
    unpack_unjudged,
)
from contracts.visitor_alerts import NO_ALERTS, VisitorAlerts, pack_alerts, unpack_alerts


class Predictions(NamedTuple):
    """`score` is None until a model has scored the visitor; it may be of an earlier session or action."""

    score: Score | None = None
    alert_state: VisitorAlerts = NO_ALERTS
    unjudged: Unjudged = ALL_JUDGED


NO_PREDICTIONS = Predictions()


def pack_predictions(predictions: Predictions) -> tuple[Any, ...]:
    """The predictions as plain values for msgpack; empty if nothing was ever expected."""
    if predictions is NO_PREDICTIONS or predictions == NO_PREDICTIONS:
        return ()
    score, alert_state, unjudged = predictions
    return None if score is None else pack_score(score), pack_alerts(alert_state), pack_unjudged(unjudged)


def unpack_predictions(fields: tuple[Any, ...]) -> Predictions:
    """The predictions in what `pack_predictions` gave."""
    if not fields:
        return NO_PREDICTIONS
    score, alert_state, unjudged = fields
    return Predictions(
        None if score is None else unpack_score(score), unpack_alerts(alert_state), unpack_unjudged(unjudged)
    )
