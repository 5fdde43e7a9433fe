"""Answers about the next action."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.openapi.problem_document import ElementRefusal, ElementsProblem
from contracts.reasons import say_effect, say_reason
from contracts.scores import Score
from models.next_action.actions import TARGETS
from models.next_action.reasons import describe
from readers.answers import Answer, TimedAnswer

_DISTRIBUTION = {"view": 0.41, "cart": 0.08, "remove_from_cart": 0.02, "purchase": 0.06, "leave": 0.43}
_PREDICTION = {
    "next_action": "leave",
    "confidence": 0.43,
    "distribution": _DISTRIBUTION,
    "purchase_probability": 0.18,
}
_REASON = {
    "code": "cart",
    "words": "2 products in the cart: raises the chance of a purchase",
    "effect": 0.72,
}
_USER_EXAMPLE: dict[str, Any] = {
    "as_of": "2025-10-09T08:55:20.250Z",
    "mode": "live",
    "user_id": "visitor-17",
    "model": "5f0c1a52f4a4",
    "scored_at": "2025-10-09T08:53:20.250Z",
    "scored_actions": 6,
    "session": 3,
    "session_over": False,
    "at_last_action": _PREDICTION,
    "silence_s": 120.0,
    "now": {
        "next_action": "leave",
        "confidence": 0.6592,
        "distribution": {
            "view": 0.2452,
            "cart": 0.0478,
            "remove_from_cart": 0.012,
            "purchase": 0.0359,
            "leave": 0.6592,
        },
        "purchase_probability": 0.1623,
    },
    "reasons": [_REASON],
}
_PREDICT_EXAMPLE: dict[str, Any] = {
    **_PREDICTION,
    "reasons": [_REASON],
    "model": "5f0c1a52f4a4",
    "actions": 3,
}


class Distribution(Answer):
    """Probability of each next action in the session; they add up to 1. A favourite counts as a view."""

    view: float
    cart: float
    remove_from_cart: float
    purchase: float
    leave: float = Field(description="No further action in the session")


class Prediction(Answer):
    """What a model expects."""

    next_action: str = Field(description="The most likely action", json_schema_extra={"enum": list(TARGETS)})
    confidence: float = Field(description="Its probability")
    distribution: Distribution
    purchase_probability: float = Field(description="Probability of a purchase later in the session")


class Reason(Answer):
    """What the model looked at."""

    code: str = Field(description="Stable within a model version")
    words: str
    effect: float = Field(description="Effect on the log odds of a purchase; negative: lowers it")


class UserNextAction(TimedAnswer):
    """What is expected of one visitor."""

    model_config = ConfigDict(json_schema_extra={"example": _USER_EXAMPLE})

    user_id: str
    model: str = Field(description="Version of the model that scored the visitor")
    scored_at: datetime = Field(description="Event time of the last action before the score")
    scored_actions: int = Field(description="Number of actions of the session that were scored")
    session: int = Field(description="Session of the score; 1 is the first of this visitor")
    session_over: bool = Field(description="True: the session has ended by inactivity")
    at_last_action: Prediction = Field(description="As of `scored_at`")
    silence_s: float = Field(description="From the visitor's last action to `as_of`")
    now: Prediction | None = Field(
        description="The same after the silence so far; null: the visitor has acted since and was not scored"
    )
    reasons: list[Reason] = Field(description="Strongest first")


class PredictedAction(Prediction):
    """The prediction for a sequence of actions."""

    model_config = ConfigDict(json_schema_extra={"example": _PREDICT_EXAMPLE})

    reasons: list[Reason] = Field(description="Strongest first")
    model: str = Field(description="Version of the model")
    actions: int = Field(description="Actions of the sequence's last session, which the prediction is about")


class ActionsProblem(ElementsProblem):
    """A problem document; `errors` is present if single actions were the reason."""

    errors: list[ElementRefusal] = Field(default_factory=list)


def prediction_fields(score: Score) -> dict[str, Any]:
    """The fields of `Prediction`; of equally likely actions the first in the order of the classes."""
    confidence = max(score.probabilities)
    return {
        "next_action": TARGETS[score.probabilities.index(confidence)],
        "confidence": confidence,
        "distribution": dict(zip(TARGETS, score.probabilities, strict=True)),
        "purchase_probability": score.purchase,
    }


def reasons_fields(score: Score, context: Sequence[float] | None) -> list[dict[str, Any]]:
    """The fields of each `Reason`, in words for the context of the score, in general ones without it."""
    return [
        {"code": code, "words": _say(code, effect, context), "effect": effect}
        for code, effect in score.reasons
    ]


def _say(code: str, effect: float, context: Sequence[float] | None) -> str:
    if context is None:
        return say_reason(code, effect)
    try:
        words = describe(code, context)
    except KeyError:  # a code of another version
        return say_reason(code, effect)
    return say_effect(words, effect)
