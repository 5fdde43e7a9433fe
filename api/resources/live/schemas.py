"""Answers about the shop right now."""

from datetime import datetime

from pydantic import Field

from readers.answers import Answer, Money, TimedAnswer


class Funnel(Answer):
    """Sessions that started today, and how far they came."""

    sessions: int
    viewed: int
    carted: int
    bought: int


class Sales(Answer):
    """Orders and revenue of events from `from` up to, not including, `to`."""

    from_: datetime = Field(serialization_alias="from")
    to: datetime
    orders: int
    units: int
    revenue: list[Money] = Field(description="Gross, from purchases")
    refunded: list[Money] = Field(description="Of refunds in this time, whenever their orders were")
    net_revenue: list[Money] = Field(description="Revenue minus refunds")


class MinuteCounts(Answer):
    """Events of one minute by type."""

    start: datetime
    view: int
    favorite: int
    cart: int
    remove_from_cart: int
    purchase: int


class Delay(Answer):
    """From broker timestamp to commit in Redis, over the last 10 s; with several workers, the slowest."""

    p50_ms: float
    p99_ms: float


class Worker(Answer):
    """One stream worker that has reported in the last 10 s."""

    worker_id: str
    heard_at: datetime
    events_per_s: float
    delay: Delay
    rss_bytes: int
    partitions: list[int]


class Totals(Answer):
    """Events since the state began: applied once each, and what was not applied and why."""

    applied: int
    duplicates: int
    late: int
    rejected: int
    lost: int
    forgotten: int = Field(description="Events of deleted visitors from before their deletion; dropped")


class Backlog(Answer):
    """Events in Kafka that are not counted yet."""

    waiting: int
    history_to: datetime | None = Field(
        description="While history is being replayed, the event time it has reached in the partition "
        "furthest "
        "behind; null: no history is being replayed"
    )


class Live(TimedAnswer):
    """The shop right now."""

    durable: bool = Field(description="False: embedded broker and Redis; nothing is stored permanently")
    timezone: str = Field(description="Time zone of the shop; today starts at its midnight")
    active_visitors: int = Field(description="Visitors with an event in the last 5 minutes")
    events_per_s: float | None = Field(description="Applied by all workers; null: no worker is running")
    delay: Delay | None = Field(description="null: no worker is running")
    funnel_today: Funnel
    carts_abandoned_today: int
    today: Sales
    yesterday_at_this_time: Sales
    per_minute: list[MinuteCounts] = Field(description="The last 30 minutes, oldest first")
    totals: Totals
    backlog: Backlog | None = Field(description="null: unknown, as Kafka did not answer")
    workers: list[Worker]
