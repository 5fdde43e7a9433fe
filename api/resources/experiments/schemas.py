"""Answers about experiments: two groups of visitors, and the difference between them."""

from pydantic import Field

from readers.alerts.kinds import AlertKind
from readers.answers import Answer, TimedAnswer


class ArmFigures(Answer):
    """One group: its alerts whose time is over, and what their visitors bought within it."""

    n: int = Field(description="Alerts: the first of the kind for each visitor")
    bought: int = Field(description="Of them, followed by a purchase within `watch_s`")
    share: float | None = Field(description="Share that bought; null: no alert yet")
    revenue_minor: float | None = Field(description="Revenue per alert within `watch_s`, in minor units")


class Difference(Answer):
    """Told minus held out, with its 95 % interval."""

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


class Experiments(TimedAnswer):
    """The alerts of the last `days` days, those of the last `watch_s` seconds left out."""

    hold_out: float = Field(description="Share of visitors whose alerts are not published; 0: no experiment")
    days: int
    watch_s: int = Field(description="How long purchases are followed after an alert")
    currency: str
    alerts: dict[AlertKind, Uplift]
