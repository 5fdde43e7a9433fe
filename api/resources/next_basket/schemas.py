"""Answers about the next basket."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.openapi.problem_document import ElementRefusal, ElementsProblem
from models.recommendation.answer import Reason
from models.recommendation.reasons import say_why
from readers.answers import Answer

_EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "product_id": "p00017",
            "score": 0.3846,
            "times_bought": 3,
            "days_since": 6.4,
            "reason": {"code": "due", "words": "bought every 7 days, and due"},
        },
        {
            "product_id": "p00054",
            "score": 0.1251,
            "times_bought": 1,
            "days_since": 13.4,
            "reason": {"code": "bought_before", "words": "bought 1 time before"},
        },
    ],
    "answered_by": "repeats",
    "model": None,
    "model_trouble": None,
    "baskets": 3,
}


class BasketReason(Answer):
    """Why an item is expected."""

    code: str
    words: str


class NextItem(Answer):
    """An item of the next basket."""

    product_id: str
    score: float = Field(description="Higher is likelier, within this answer only")
    times_bought: int = Field(description="Baskets of the request with it")
    days_since: float | None = Field(
        description="From its newest purchase to the moment of asking; null: never bought, or no times"
    )
    reason: BasketReason


class NextBasket(Answer):
    """What the next basket is likely to hold."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    items: list[NextItem] = Field(description="The likeliest first; fewer than `limit` if no more are known")
    answered_by: Literal["model", "repeats"] = Field(
        description="`repeats`: the list of what this customer bought, by frequency and time"
    )
    model: str | None = Field(description="Version of the model that answered")
    model_trouble: Literal["unavailable", "busy", "slow", "failed"] | None = Field(
        description="Why the model that the settings name did not answer; null: it did, or there is none"
    )
    baskets: int = Field(description="Baskets that were read")


class BasketsProblem(ElementsProblem):
    """A problem document; `errors` is present if single baskets were the reason."""

    errors: list[ElementRefusal] = Field(default_factory=list)


def to_reason(reason: Reason) -> BasketReason:
    """The reason with its sentence."""
    return BasketReason(code=reason.code, words=say_why(reason))
