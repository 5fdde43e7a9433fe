"""Answers about models: how good they are on what visitors then did, and who runs which."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.http.parts import Part
from contracts.model_steps import Author, StepKind
from readers.alerts.kinds import AlertKind
from readers.answers import Answer, TimedAnswer

Window = Literal["1h", "24h"]
Missing = Annotated[
    dict[str, str],
    Field(description="Figures that cannot be given yet and are null, with the reason"),
]


class Point(Answer):
    """A point of a reliability curve: `n` predictions of `predicted` on average, of which the share
    `observed` came true.
    """

    model_config = ConfigDict(from_attributes=True)

    n: int
    predicted: float
    observed: float


class NextActionFigures(Answer):
    """Figures for next-action predictions, judged by the action that followed."""

    n: int
    accuracy: float | None
    macro_f1: float | None
    log_loss: float | None
    ece: float | None = Field(description="Expected calibration error of the predicted action")
    reliability: list[Point]
    predicted: dict[str, int]
    actual: dict[str, int]
    missing: Missing


class PurchaseFigures(Answer):
    """Figures for the probability of a purchase later in the session, judged once the outcome was known."""

    n: int
    rate: float | None = Field(description="Share that bought")
    log_loss: float | None
    brier: float | None
    ece: float | None
    reliability: list[Point]
    missing: Missing


class AlertFigures(Answer):
    """Figures for alerts of one kind. An alert was right if it expired: the visitor did not buy."""

    fired: int
    resolved: int
    expired: int
    precision: float | None = Field(
        description="Share that expired among the alerts of the newest window in which all have ended"
    )
    recall: float | None = Field(description="Share of the lost carts that had an alert in their session")
    base_rate: float | None = Field(description="Share of lost carts among the sessions with a cart")
    lead_mean_s: float | None = Field(
        description="Mean time from firing to the end of an alert that was right"
    )
    lead_p10_s: float | None
    lead_p50_s: float | None
    lead_p90_s: float | None
    wait_mean_s: float | None = Field(description="Mean time from firing to the purchase")
    useful: int = Field(description="Alerts marked useful in this window")
    wrong: int = Field(description="Alerts marked wrong in this window")
    judged_precision: float | None = Field(description="Share of `useful` among these verdicts")
    bought_later: float | None = Field(
        description="Share of visitors who bought within 24 hours of their first alert (alert_watch_ms), "
        "also in a later session; of alerts whose time is over"
    )
    withheld: dict[str, int] = Field(
        description="How often an alert was wanted and did not fire, by reason. budget: more than the budget "
        "of the kind allows; unproven: the model does not beat the running base rates of the shop; visitor: "
        "the visitor had as many alerts as allowed"
    )
    missing: Missing


class Figures(Answer):
    """Everything that was judged in a window."""

    next_action: NextActionFigures
    purchase: PurchaseFigures
    alerts: dict[AlertKind, AlertFigures]


class ModelFigures(Answer):
    """Figures of one model version."""

    version: str | None = Field(description="null: alerts and sessions without a model")
    windows: dict[Window, Figures]


class Drift(Answer):
    """One number a worker watches; a drift is a change of its mean (ADWIN)."""

    name: str = Field(
        description="score: purchase probability; error: 1 minus the probability of what happened"
    )
    mean: float | None = Field(description="null: too few numbers yet")
    width: int = Field(
        description="Numbers since the last change; those of a worker's first hour do not count"
    )
    drifts: int = Field(description="Changes since the worker started")
    drifted_at: datetime | None = Field(description="Event time of the last one; null: none")


class ScoringWorker(Answer):
    """What one worker scores visitors with."""

    worker_id: str
    heard_at: datetime
    model: str | None = Field(description="null: no model is loaded")
    scoring: str = Field(description="ok, off, or what is wrong")
    scored: int = Field(description="Visitors since the worker started")
    skipped: int = Field(description="Visitors not scored since the worker started")
    left_out: dict[str, int] = Field(
        description="Of these, for want of time: cart, intent, other or superseded (acted while waiting)"
    )
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

    version: str | None = Field(description="null: no model could be loaded")
    trouble: str | None = Field(description="Why no model, or no newer one, could be loaded")
    card: CardSummary | None


class SlotFigures(Answer):
    """Figures for a slot's judged predictions."""

    n: int
    accuracy: float | None
    mean_loss: float | None
    counts: dict[str, int] = Field(description="The slot's own counters, by name")
    missing: Missing


class SlotVersion(Answer):
    """One version of a slot's model."""

    version: str
    windows: dict[Window, SlotFigures]


class SlotWorker(Answer):
    """What one worker has in a slot."""

    worker_id: str
    model: str | None = Field(description="null: no model is loaded")
    state: str = Field(description="ok, off, or what is wrong")
    scored: int = Field(description="Visitors since the worker started")
    skipped: int = Field(description="Visitors without an answer since the worker started")
    left_out: dict[str, int] = Field(description="Of these, for want of time, by kind")
    drift: list[Drift]


class SlotModels(Answer):
    """The models of one slot."""

    slot: str
    models: list[SlotVersion] = Field(description="Sorted by number of judged predictions, highest first")
    workers: list[SlotWorker]


class LearningMember(Answer):
    """A member of the mixture, or the mixture itself. Each answer is judged before it is learnt."""

    weight: float | None = Field(description="Weight in the mixture; null: the mixture itself")
    log_loss: float | None = Field(description="Recent log loss: older answers count less and less")
    total_log_loss: float | None = Field(description="Since the start, or since the model last changed")


class LearntTask(Answer):
    """What is published of one task."""

    published: Literal["model", "mixture", "base_rates"]
    why: str
    judged: int = Field(description="Answers since the start, or since the model last changed")
    members: dict[str, LearningMember] = Field(
        description="base_rates: frequencies in this shop; model: the model as it is; calibrated: the model, "
        "scaled and shifted; actions: by the last three actions; pace: by the last action, the pace and the "
        "cart; regression: on the visitor's aggregates; mixture: all of them by their weights"
    )


class OutputCalibration(Answer):
    """The calibrated logit of an output is scale times the model's, plus shift."""

    scale: float
    shift: float


class SlotLearning(Answer):
    """What was learnt from answers for one slot, in all partitions together."""

    slot: str
    version: str = Field(description="Of the model")
    since: datetime = Field(description="Event time of the first answer")
    as_of: datetime = Field(description="Event time of the last answer that was learnt")
    tasks: dict[Literal["next_action", "purchase"], LearntTask]
    calibration: dict[str, OutputCalibration]


class JudgedSlot(Answer):
    """What versions of a slot came to in sessions that came after they were trained, judged by the learner.

    Losses are those of an answer, by name; lower is better.
    """

    slot: str
    champion: str = Field(description="Its version")
    beside: str | None = Field(description="The version that is compared with it; null: none is now")
    since: datetime = Field(description="Sessions that began later were judged (event time)")
    through: datetime = Field(description="Sessions that began up to then were judged")
    as_of: datetime = Field(description="When they were looked at last, by the learner's clock")
    sessions: int
    answers: int
    champion_losses: dict[str, float] = Field(
        description="next_item: rank is 1 less the reciprocal rank of the product that came, miss is 1 if it "
        "was not among the first 20"
    )
    beside_losses: dict[str, float] | None
    base_loss: float | None = Field(description="Of what needs no training, all losses together")
    difference: float | None = Field(
        description="Loss of a session less that of the champion; below 0 the version beside it is better"
    )
    low: float | None = Field(description="Its 95 % confidence sequence, which holds at all looks together")
    high: float | None


class ModelReport(TimedAnswer):
    """Model versions, and their figures over 60 minutes (1h) and 24 hours (24h), the running one included."""

    scoring: Part
    together: dict[Window, Figures] = Field(description="All versions, and what involved no model")
    models: list[ModelFigures] = Field(description="Sorted by number of judged predictions, highest first")
    workers: list[ScoringWorker]
    api: OwnModel
    slots: list[SlotModels] = Field(
        default_factory=list,
        description="Models for predictions other than the next action; absent if there are none",
    )
    judged: list[JudgedSlot] = Field(
        default_factory=list,
        description="Slots whose versions the learner judges; absent until it did, and without its store",
    )
    learning: list[SlotLearning] = Field(
        default_factory=list,
        description="What was learnt from answers, by slot; absent until something was learnt",
    )


class SlotVersions(Answer):
    """Where the versions of one slot's model stand. `base` is what the slot comes with."""

    slot: str
    champion: str = Field(description="The version that is asked")
    is_pinned: bool = Field(description="It stays the champion, whatever the figures say")
    beside: str | None = Field(description="Runs beside the champion and is compared with it")
    is_on_probation: bool = Field(description="What runs beside the champion is the champion before it")
    candidate: str | None = Field(description="Will be checked next")
    former: list[str] = Field(description="Champions before, the newest first")
    rejected: list[str] = Field(description="The newest first")


class ModelStep(Answer):
    """One step in the life of a version, and what it was decided by."""

    slot: str
    number: int
    step: StepKind
    version: str
    at: datetime
    author: Author
    reason: str
    figures: dict[str, float] = Field(description="What it was decided by; losses are of an answer")


class ModelHistory(Answer):
    """Where all versions of models stand, and how they came there."""

    is_complete: bool = Field(description="False while Kafka has not yet answered this process")
    slots: list[SlotVersions] = Field(description="Those with steps; all others ask what they come with")
    steps: list[ModelStep] = Field(description="The last one first")
