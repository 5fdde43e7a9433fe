"""Answers about models: how good they are on what visitors then did, and who runs which."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.http.parts import Part
from readers.alerts.kinds import AlertKind
from readers.answers import Answer, TimedAnswer

Window = Literal["1h", "24h"]


class Point(Answer):
    """Of a reliability curve: `n` predictions of `predicted` on average, `observed` came true."""

    model_config = ConfigDict(from_attributes=True)

    n: int
    predicted: float
    observed: float


class NextActionFigures(Answer):
    """Of next-action predictions that were judged by the action that came; null: none was."""

    model_config = ConfigDict(from_attributes=True)

    n: int
    accuracy: float | None
    macro_f1: float | None
    log_loss: float | None
    ece: float | None = Field(description="Expected calibration error of the predicted action")
    reliability: list[Point]
    predicted: dict[str, int]
    actual: dict[str, int]


class PurchaseFigures(Answer):
    """Of the probability of a purchase later in the session, judged when the answer was known."""

    model_config = ConfigDict(from_attributes=True)

    n: int
    rate: float | None = Field(description="Share that bought")
    log_loss: float | None
    brier: float | None
    ece: float | None
    reliability: list[Point]


class AlertFigures(Answer):
    """Of alerts of one kind. One was right if it expired: the visitor did not buy."""

    model_config = ConfigDict(from_attributes=True)

    fired: int
    resolved: int
    expired: int
    precision: float | None
    recall: float | None = Field(description="Share of the sessions lost with a cart that had an alert")
    base_rate: float | None = Field(description="Share of lost ones among the sessions with a cart")
    lead_mean_s: float | None = Field(description="From firing to the end of an alert that was right")
    lead_p10_s: float | None
    lead_p50_s: float | None
    lead_p90_s: float | None
    wait_mean_s: float | None = Field(description="From firing to the purchase")
    useful: int = Field(description="Alerts that people called useful in this window")
    wrong: int = Field(description="Alerts that people called wrong in this window")
    judged_precision: float | None = Field(description="Share of useful among these verdicts")


class Figures(Answer):
    """Everything that was judged in a window."""

    next_action: NextActionFigures
    purchase: PurchaseFigures
    alerts: dict[AlertKind, AlertFigures]


class ModelFigures(Answer):
    """Figures of one model version."""

    version: str | None = Field(description="null: alerts and sessions that no model had a part in")
    windows: dict[Window, Figures]


class Drift(Answer):
    """One number a worker watches; a drift is a change of its mean (ADWIN)."""

    name: str = Field(description="score: purchase probability; error: 1 less the probability of what came")
    mean: float
    width: int = Field(description="Numbers since the last change")
    drifts: int = Field(description="Changes since the worker started")
    drifted_at: datetime | None = Field(description="Event time of the last one; null: none")


class ScoringWorker(Answer):
    """What one worker scores visitors with."""

    worker_id: str
    heard_at: datetime
    model: str | None = Field(description="null: none is loaded")
    scoring: str = Field(description="ok, off, or what is wrong")
    scored: int = Field(description="Visitors since the worker started")
    skipped: int = Field(description="Visitors left unscored since the worker started")
    drift: list[Drift]


class CardSummary(Answer):
    """What a model was made from, and how good it was on held-back events."""

    training: dict[str, Any]
    metrics: dict[str, Any]
    config: dict[str, Any]
    libraries: dict[str, str]
    licence: str


class OwnModel(Answer):
    """The model of the API process, which answers `/v1/predict/next-action`."""

    version: str | None = Field(description="null: none could be loaded")
    trouble: str | None = Field(description="Why none, or no newer one, could be loaded")
    card: CardSummary | None


class SlotFigures(Answer):
    """Of a slot's predictions that were judged; null: none was."""

    model_config = ConfigDict(from_attributes=True)

    n: int
    accuracy: float | None
    mean_loss: float | None
    counts: dict[str, int] = Field(description="Counters of the slot's own, by name")


class SlotVersion(Answer):
    """One version of a slot's model."""

    version: str
    windows: dict[Window, SlotFigures]


class SlotWorker(Answer):
    """What one worker has in a slot."""

    worker_id: str
    model: str | None = Field(description="null: none is loaded")
    state: str = Field(description="ok, off, or what is wrong")
    scored: int = Field(description="Visitors since the worker started")
    skipped: int = Field(description="Visitors left unanswered since the worker started")
    drift: list[Drift]


class SlotModels(Answer):
    """The models of one slot."""

    slot: str
    models: list[SlotVersion] = Field(description="The version with most judged predictions first")
    workers: list[SlotWorker]


class Models(TimedAnswer):
    """Model versions, and their figures over 60 minutes (1h) and 24 hours (24h), the running one included."""

    scoring: Part
    together: dict[Window, Figures] = Field(description="All versions, and what no model had a part in")
    models: list[ModelFigures] = Field(description="The version with most judged predictions first")
    workers: list[ScoringWorker]
    api: OwnModel
    slots: list[SlotModels] = Field(
        default_factory=list, description="Models of other predictions than the next action; absent for none"
    )
