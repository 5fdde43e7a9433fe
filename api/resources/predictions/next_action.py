"""What is expected of one visitor, as an answer: plain values in the shape of `UserNextAction`."""

from typing import Any

from api.resources.predictions.schemas import prediction_fields, reasons_fields
from contracts.scores import Score
from contracts.visitor import Visitor
from models.next_action.encoding import encode_context
from models.next_action.prices import PriceLevel
from models.silence import hear_silence
from readers.intervals import to_datetime
from readers.stream_time import StreamTime


def to_user_next_action(
    user_id: str, visitor: Visitor, score: Score, level: PriceLevel, time: StreamTime, *, idle_ms: int
) -> dict[str, Any]:
    """The answer of `/v1/users/{user_id}/next-action` for a visitor with a score; `level` is the shop's."""
    last_ms = visitor.head.last_ms
    silence_ms = max(0, time.as_of_ms - last_ms)
    now = context = None
    if score.at_ms == last_ms:  # else the visitor is no more what was scored
        context = encode_context(visitor, level, idle_ms)
        now = prediction_fields(hear_silence(score, silence_ms))
    return {
        "as_of": to_datetime(time.as_of_ms),
        "mode": time.mode,
        "user_id": user_id,
        "model": score.version,
        "scored_at": to_datetime(score.at_ms),
        "scored_actions": score.actions,
        "session": score.session,
        "session_over": visitor.ended or silence_ms > idle_ms,
        "at_last_action": prediction_fields(score),
        "silence_s": silence_ms / 1_000,
        "now": now,
        "reasons": reasons_fields(score, context),
    }
