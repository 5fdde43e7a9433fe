"""Answers about experiments: two groups of visitors, and the difference between them."""

from pydantic import Field

from readers.alerts.kinds import AlertKind
from readers.answers import Answer, Money, TimedAnswer


class ArmFigures(Answer):
    """One group: alerts whose time is over or visitors with recommendations, and what they bought."""

    n: int = Field(description="Alerts: the first of the kind for each visitor; or visitors")
    bought: int = Field(description="Of them, followed by a purchase within `watch_s`")
    share: float | None = Field(description="Share that bought; null: no alert yet")
    revenue_minor: float | None = Field(description="Revenue of each within `watch_s`, in minor units")


class Difference(Answer):
    """The group minus those held out, with its 95 % interval."""

    value: float
    low: float
    high: float


class SampleRatio(Answer):
    """Whether the groups are as large as the hold-out share says."""

    expected_held_out: float = Field(description="The hold-out share")
    observed_held_out: float
    p_value: float = Field(
        description="Of a chi-squared test; under 0.001 something is wrong with the groups"
    )
    is_plausible: bool


class Uplift(Answer):
    """What alerts of one kind bring."""

    told: ArmFigures
    held_out: ArmFigures
    bought: Difference | None = Field(description="Difference in the share that bought (Agresti and Caffo)")
    revenue_minor: Difference | None = Field(description="Difference in revenue per alert, in minor units")
    sample_ratio: SampleRatio | None
    missing: dict[str, str] = Field(description="Figures that are null, and why they are null")


class ExposedUplift(Answer):
    """What recommendations of a scenario bring in one arm."""

    exposures: int = Field(description="Answers with products that were given to a visitor")
    items: int = Field(description="Products in them")
    clicks: int = Field(description="Of these products, viewed within 30 minutes")
    click_rate: float | None = Field(description="Clicks per exposure; null: no exposure yet")
    carts: int = Field(description="Of these products, put into the cart within a day")
    purchases: int = Field(description="Of these products, bought within a day")
    units: int
    revenue: list[Money] = Field(description="Of these products within a day, by currency")
    revenue_per_exposure_minor: float | None = Field(
        description="In the shop's currency and minor units; null: no exposure yet"
    )
    visitors: ArmFigures = Field(description="Visitors of the arm, with all that they bought within a day")
    bought: Difference | None = Field(description="Difference in the share of visitors that bought")
    revenue_minor: Difference | None = Field(description="Difference in revenue per visitor, in minor units")
    sample_ratio: SampleRatio | None
    missing: dict[str, str] = Field(description="Figures that are null, and why they are null")


class ScenarioUplift(Answer):
    """What recommendations of a scenario bring."""

    arms: dict[str, ExposedUplift] = Field(description="Differences are from the arm held_out")


class Experiments(TimedAnswer):
    """The alerts of the last `days` days, those of the last `watch_s` seconds left out."""

    hold_out: float = Field(description="Share of visitors whose alerts are not published; 0: no experiment")
    days: int
    watch_s: int = Field(description="How long purchases are followed after an alert")
    currency: str
    alerts: dict[AlertKind, Uplift]
    recommendations: dict[str, ScenarioUplift] = Field(description="Scenario to what followed")
