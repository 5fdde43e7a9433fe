"""What is asked for: parameters of a path, or elements of a body, and what they mean."""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from api.http.errors import InvalidQuery
from api.openapi.identifiers import NO_CONTROL, TEXT_ID
from contracts.currencies import MINOR_DIGITS
from contracts.fields import MAX_ID_CHARS, MAX_TEXT_CHARS, InvalidEvent, identifier, text
from contracts.numbers import Breach, parse_price_minor
from models.recommendation.request import (
    MAX_LIMIT,
    ActionWeights,
    Boost,
    InvalidRequest,
    PriceRange,
    RecommendationRequest,
    Rules,
    Scenario,
)

MAX_REQUESTS = 20
"""Questions in one body."""
MAX_LISTED = 1_000
"""Products or categories in one list."""
MAX_FACTOR = 1_000.0
_MAX_EXCLUDE_CHARS, _MAX_PIN_CHARS = 3_000, 1_500
"""Of lists in a URL, which has 8 KiB at most."""
_PRICE: dict[str, Any] = {"pattern": r"^[0-9]{1,9}(\.[0-9]{1,2})?$"}
_TEXT: dict[str, Any] = {"pattern": f"^{NO_CONTROL}*$"}

Id = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_CHARS, json_schema_extra={"pattern": TEXT_ID["pattern"]}),
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, json_schema_extra=_TEXT)]
Price = Annotated[str, Field(min_length=1, max_length=25, json_schema_extra=_PRICE)]


class Question(NamedTuple):
    """One question: who asks for what. `request` lacks what is known of the visitor."""

    user_id: str | None
    request: RecommendationRequest
    is_preview: bool


class _Common(BaseModel):
    """What parameters and elements of a body have alike."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    user_id: Id | None = Field(
        None, description="Visitor or customer; absent: nobody in particular, so nothing personal"
    )
    product_id: Id | None = Field(None, description="Product of the page that is open")
    scenario: Scenario | None = Field(
        None,
        description="What the products are for; default: similar for a product_id without a user_id, else "
        "for_you",
    )
    limit: int = Field(10, ge=1, le=MAX_LIMIT, description="Maximum number of products")
    price_min: Price | None = Field(None, description="Only products of at least this price (decimal)")
    price_max: Price | None = Field(None, description="Only products of at most this price (decimal)")
    currency: str | None = Field(
        None,
        description="Currency of both (ISO 4217); default: that of the shop",
        json_schema_extra={"enum": [None, *sorted(MINOR_DIGITS)]},
    )
    region: Text | None = Field(None, description="Only products sold there; default: wherever")
    most_per_category: int | None = Field(None, ge=1, le=MAX_LIMIT, description="Products of one category")
    most_per_brand: int | None = Field(None, ge=1, le=MAX_LIMIT, description="Products of one brand")
    rotation: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="A seed: products of nearly equal score change places with it, such as the day's number",
    )

    def to_price(self, default_currency: str) -> PriceRange | None:
        """The range of prices; raises `InvalidQuery`."""
        currency = default_currency if self.currency is None else self.currency
        if currency not in MINOR_DIGITS:
            raise InvalidQuery("currency", "unknown", "must be an ISO 4217 code")
        if self.price_min is None and self.price_max is None:
            return None
        bounds = [
            None if value is None else _minor(name, value, MINOR_DIGITS[currency])
            for name, value in (("price_min", self.price_min), ("price_max", self.price_max))
        ]
        return PriceRange(currency, *bounds)

    def choose_scenario(self) -> Scenario:
        """The scenario, or that which fits what is given."""
        if self.scenario is not None:
            return self.scenario
        on_page = self.product_id is not None and self.user_id is None
        return Scenario.SIMILAR if on_page else Scenario.FOR_YOU


class RecommendationParameters(_Common):
    """Parameters of `GET /v1/recommendations`."""

    category: Text | None = Field(None, description="Only products of this category")
    exclude: str | None = Field(
        None,
        min_length=1,
        max_length=_MAX_EXCLUDE_CHARS,
        description="Products that must not be shown, their ids with commas between",
        json_schema_extra={"pattern": f"^{NO_CONTROL}*$"},
    )
    exclude_category: Text | None = Field(None, description="No products of this category")
    pin: str | None = Field(
        None,
        min_length=1,
        max_length=_MAX_PIN_CHARS,
        description="Products that come first if the other rules allow them, with commas between",
        json_schema_extra={"pattern": f"^{NO_CONTROL}*$"},
    )
    exclude_bought: Literal["0", "1"] = Field("0", description="1: not what the visitor has bought")
    exclude_seen: Literal["0", "1"] = Field("0", description="1: not what the visitor has looked at")
    exclude_in_cart: Literal["0", "1"] = Field("1", description="0: also what is in the cart")
    preview: Literal["0", "1"] = Field("0", description="1: only to look at: there is no rec_id")

    def to_question(self, default_currency: str) -> Question:
        """The question; raises `InvalidQuery`."""
        return _to_question(
            self,
            default_currency,
            exclude=_split(self.exclude),
            categories=() if self.category is None else (self.category,),
            exclude_categories=() if self.exclude_category is None else (self.exclude_category,),
            pins=_split(self.pin),
            exclude_bought=self.exclude_bought == "1",
            exclude_seen=self.exclude_seen == "1",
            exclude_in_cart=self.exclude_in_cart == "1",
            is_preview=self.preview == "1",
        )


class AskedBoost(BaseModel):
    """Products that are to come earlier or later."""

    model_config = ConfigDict(extra="forbid", title="Boost")

    of: Literal["product", "category", "brand"]
    value: Text = Field(description="Id of the product, name of the category or brand")
    factor: float = Field(gt=0, le=MAX_FACTOR, description="Scores are multiplied by it; below 1: later")


class AskedWeights(BaseModel):
    """How much each action is wanted to come next, relative to the others; one of them above 0."""

    model_config = ConfigDict(extra="forbid", title="ActionWeights")

    view: float = Field(1.0, ge=0, le=MAX_FACTOR)
    cart: float = Field(1.0, ge=0, le=MAX_FACTOR)
    purchase: float = Field(1.0, ge=0, le=MAX_FACTOR)


class RecommendationQuestion(_Common):
    """One question of a body."""

    categories: list[Text] = Field([], max_length=MAX_LISTED, description="Only products of any of these")
    exclude: list[Id] = Field([], max_length=MAX_LISTED, description="Products that must not be shown")
    exclude_categories: list[Text] = Field(
        [], max_length=MAX_LISTED, description="No products of any of these"
    )
    pins: list[Id] = Field(
        [], max_length=MAX_LIMIT, description="Products that come first, if the other rules allow them"
    )
    boosts: list[AskedBoost] = Field([], max_length=MAX_LISTED)
    weights: AskedWeights = AskedWeights()
    exclude_bought: bool = False
    exclude_seen: bool = False
    exclude_in_cart: bool = True
    preview: bool = Field(False, description="Only to look at: there is no rec_id")

    def to_question(self, default_currency: str) -> Question:
        """The question; raises `InvalidQuery`."""
        return _to_question(
            self,
            default_currency,
            exclude=self.exclude,
            categories=self.categories,
            exclude_categories=self.exclude_categories,
            pins=self.pins,
            exclude_bought=self.exclude_bought,
            exclude_seen=self.exclude_seen,
            exclude_in_cart=self.exclude_in_cart,
            is_preview=self.preview,
            boosts=tuple([Boost(each.of, each.value, each.factor) for each in self.boosts]),
            weights=ActionWeights(self.weights.view, self.weights.cart, self.weights.purchase),
        )


class RecommendationBatch(BaseModel):
    """Several questions, answered in their order."""

    model_config = ConfigDict(extra="forbid")

    requests: list[RecommendationQuestion] = Field(min_length=1, max_length=MAX_REQUESTS)


def _to_question(
    asked: _Common,
    default_currency: str,
    *,
    exclude: list[str],
    categories: list[str] | tuple[str, ...],
    exclude_categories: list[str] | tuple[str, ...],
    pins: list[str],
    exclude_bought: bool,
    exclude_seen: bool,
    exclude_in_cart: bool,
    is_preview: bool,
    boosts: tuple[Boost, ...] = (),
    weights: ActionWeights = ActionWeights(),  # noqa: B008  # it is a tuple
) -> Question:
    for name, one in (("user_id", asked.user_id), ("product_id", asked.product_id)):
        _check_ids(name, () if one is None else (one,))
    _check_ids("exclude", exclude)
    _check_ids("pin", pins)
    for name, texts in (("category", categories), ("exclude_category", exclude_categories)):
        _check_texts(name, texts)
    _check_texts("boosts", [each.value for each in boosts])
    _check_texts("region", () if asked.region is None else (asked.region,))
    if set(pins) & set(exclude):
        raise InvalidQuery("pin", "excluded", "must not name a product that exclude names too")
    rules = Rules(
        exclude=frozenset(exclude),
        exclude_bought=exclude_bought,
        exclude_in_cart=exclude_in_cart,
        exclude_seen=exclude_seen,
        categories=frozenset(categories),
        exclude_categories=frozenset(exclude_categories),
        price=asked.to_price(default_currency),
        region=asked.region,
        boosts=boosts,
        pins=tuple(pins),
        most_per_category=asked.most_per_category,
        most_per_brand=asked.most_per_brand,
        rotation=asked.rotation,
    )
    try:
        request = RecommendationRequest(
            now_ms=0,
            scenario=asked.choose_scenario(),
            limit=asked.limit,
            product_id=asked.product_id,
            rules=rules,
            weights=weights,
        )
    except InvalidRequest as exc:
        field, _, rule = exc.code.partition(".")
        raise InvalidQuery(field, rule, exc.detail) from None
    return Question(asked.user_id, request, is_preview)


def _split(listed: str | None) -> list[str]:
    """The ids of a list in one parameter; commas at the ends and twice are passed over."""
    return [] if listed is None else [each for each in listed.split(",") if each]


def _check_ids(field: str, ids: list[str] | tuple[str, ...]) -> None:
    try:
        for each in ids:
            identifier(field, each)
    except InvalidEvent as exc:
        raise _refused(field, exc) from None


def _check_texts(field: str, texts: list[str] | tuple[str, ...]) -> None:
    try:
        for each in texts:
            text(field, each)
    except InvalidEvent as exc:
        raise _refused(field, exc) from None


def _refused(field: str, exc: InvalidEvent) -> InvalidQuery:
    rule, detail = exc.code.rpartition(".")[2], exc.detail.removeprefix(f"{field} ")
    return InvalidQuery(field, rule, detail)


def _minor(field: str, value: str, minor_digits: int) -> int:
    try:
        return parse_price_minor(value, minor_digits)
    except Breach as exc:
        raise InvalidQuery(field, exc.rule, exc.detail) from None
