"""Every answer of the API. Times are RFC 3339 in UTC; money is minor units and a decimal per currency."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.events import EventType
from contracts.keys import Grain
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
    revenue: list[Money]


class MinuteCounts(Answer):
    """Events of one minute by type."""

    start: datetime
    view: int
    favorite: int
    cart: int
    remove_from_cart: int
    purchase: int


class Delay(Answer):
    """From broker timestamp to committed in Redis over the last 10 s; of several workers, the slowest."""

    p50_ms: float
    p99_ms: float


class Worker(Answer):
    """One stream worker that was heard of in the last 10 s."""

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
    forgotten: int = Field(description="Events of deleted visitors, from before the deletion")


class Live(TimedAnswer):
    """The shop right now."""

    durable: bool = Field(description="False: embedded broker and Redis, nothing is kept")
    timezone: str = Field(description="Today starts at midnight here")
    active_visitors: int = Field(description="Visitors with an event in the last 5 minutes")
    events_per_s: float | None = Field(description="Applied by all workers; null: no worker runs")
    delay: Delay | None = Field(description="null: no worker runs")
    funnel_today: Funnel
    carts_abandoned_today: int
    today: Sales
    yesterday_at_this_time: Sales
    per_minute: list[MinuteCounts] = Field(description="The last 30 minutes, oldest first")
    totals: Totals
    workers: list[Worker]


class TrendingProduct(Answer):
    """One product and its decayed score: 1 is one view right now."""

    rank: int
    product_id: str
    score: float


class Trending(TimedAnswer):
    """Products by recent interest: views 1, favourites 2, carts 4, purchases 8, halved every half-life."""

    half_life_s: int
    products: list[TrendingProduct]


class CartLine(Answer):
    """One product in a cart; null prices were never told."""

    product_id: str
    quantity: int
    unit_price: Money | None
    value: Money | None
    added_at: datetime


class Cart(Answer):
    """The cart; `value` has one amount per currency and leaves out lines without a price."""

    lines: list[CartLine]
    units: int
    value: list[Money]


class ActionCounts(Answer):
    """Events by type."""

    view: int
    favorite: int
    cart: int
    remove_from_cart: int
    purchase: int


class Session(Answer):
    """The visitor's newest session."""

    session_id: str | None
    number: int = Field(description="1 is the first session of this visitor")
    started_at: datetime
    last_event_at: datetime
    ended: bool
    counts: ActionCounts
    units_bought: int
    revenue: list[Money]


class VisitorTotals(Answer):
    """Everything this visitor did while the state lived."""

    first_event_at: datetime
    last_event_at: datetime
    counts: ActionCounts
    units_bought: int
    revenue: list[Money]


class Action(Answer):
    """One recent event."""

    at: datetime
    event_type: EventType
    product_id: str
    quantity: int
    unit_price: Money | None
    category: str | None
    brand: str | None
    session_id: str | None


class VisitorState(TimedAnswer):
    """One visitor: session, cart, totals and recent actions, newest first."""

    user_id: str
    session: Session
    cart: Cart
    totals: VisitorTotals
    recent: list[Action]


class DemandBucket(Answer):
    """What happened to one product in one bucket."""

    start: datetime
    views: int
    favorites: int
    carts: int
    removes: int
    purchases: int
    units: int
    revenue: list[Money]


class Demand(TimedAnswer):
    """Demand of one product; buckets without events are there with zeros."""

    product_id: str
    grain: Grain
    from_: datetime = Field(serialization_alias="from")
    to: datetime
    retention_s: int = Field(description="Buckets are kept this long; older ones read as zeros")
    buckets: list[DemandBucket]


PartStatus = Literal["ok", "degraded", "down"]


class Part(Answer):
    """One thing the API needs."""

    status: PartStatus
    detail: str


class Readiness(Answer):
    """The worst status of the parts, or `stopping`; and each part."""

    status: PartStatus | Literal["stopping"]
    parts: dict[str, Part]


class Startup(Answer):
    """Whether the process has done what it does once, before its first answer is as fast as the others."""

    status: Literal["ok", "starting"]


class Liveness(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
