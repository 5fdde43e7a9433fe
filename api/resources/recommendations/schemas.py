"""Answers about what to show."""

from pydantic import Field

from models.recommendation.request import Scenario
from readers.answers import Answer, Money, TimedAnswer


class RecommendationReason(Answer):
    """Why a product is shown."""

    code: str = Field(description="Stable")
    words: str = Field(description="One English sentence")
    params: dict[str, str] = Field(description="What the sentence names, by name")


class RecommendedProduct(Answer):
    """One product to show."""

    product_id: str
    place: int = Field(ge=1, description="1 is the first")
    score: float = Field(description="Higher is better; comparable within one source of one answer")
    source: str = Field(description="What it comes from: the scenario itself, a fallback, or `pinned`")
    reason: RecommendationReason
    title: str | None = Field(description="null: not known")
    price: Money | None = Field(description="That of now, a promotion's while it lasts; null: not known")


class Recommendations(TimedAnswer):
    """What to show now."""

    rec_id: str | None = Field(
        description="Id of this answer; null: a preview, an empty answer, or one for nobody in particular"
    )
    user_id: str | None = Field(description="The id that was asked for")
    visitor_id: str | None = Field(description="The visitor whose actions were looked at; null: nobody's")
    is_known: bool = Field(description="Whether anything is known of the visitor")
    scenario: Scenario
    answered_by: str | None = Field(
        description="First source that had anything: the scenario itself or a fallback; null: none had"
    )
    tried: list[str] = Field(description="Sources that were asked, in this order")
    empty_because: str | None = Field(
        description="no_products: none is known; ruled_out: the rules allow none; null: not empty"
    )
    arm: str = Field(description="Arm of the experiment that the visitor is in")
    model: str = Field(description="Version of what ranks the products")
    sessions_age_s: float = Field(
        description="How long ago what others did was taken in; the visitor's own actions are as of now"
    )
    items: list[RecommendedProduct]


class RecommendationAnswers(Answer):
    """The answers, in the order of the questions."""

    answers: list[Recommendations]
