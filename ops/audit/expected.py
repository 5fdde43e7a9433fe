"""The count of what was sent, from the events alone: it shares no code with the stream."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from contracts.partitioning import partition_of
from contracts.settings import Settings
from ops.audit.compare import CartView, Totals, VisitorView

COLUMNS: dict[str, Any] = {
    "event_id": pl.String,
    "event_type": pl.String,
    "at_ms": pl.Int64,
    "user_id": pl.String,
    "product_id": pl.String,
    "quantity": pl.Int64,
    "price_minor": pl.Int64,
    "currency": pl.String,
    "order_id": pl.String,
    "session_id": pl.String,
}
"""Columns of the events to be counted; only the last four may hold nulls."""
NAMED_COLUMNS: dict[str, Any] = {**COLUMNS, "category": pl.String, "brand": pl.String}
"""With the names that only the replay of scores needs."""

_LETTERS = {"view": "v", "favorite": "f", "cart": "c", "remove_from_cart": "x", "purchase": "p"}
TYPES = tuple(_LETTERS)
"""Types of events; the place of one is its rank."""
CART, PURCHASE = TYPES.index("cart"), TYPES.index("purchase")
_WIDTHS_MS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_WEIGHTS = {"view": 1.0, "favorite": 2.0, "cart": 4.0, "remove_from_cart": 0.0, "purchase": 8.0}
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TotalsRules:
    """What the count depends on, in ms.

    If `live`, the clock goes on after the last event and ends every session; otherwise only those end that
    the partition's newest event, less the disorder, has left behind.
    """

    partitions: int
    idle_ms: int
    disorder_ms: int
    half_life_ms: int
    live: bool

    @classmethod
    def of(cls, settings: Settings, *, live: bool) -> "TotalsRules":
        """The rules in the settings."""
        half_life_ms = settings.trend_half_life_s * 1_000
        return cls(settings.partitions, settings.idle_ms, settings.disorder_ms, half_life_ms, live)


def expected_of(events: pl.DataFrame, rules: TotalsRules) -> Totals:
    """The totals of these events (`COLUMNS`), and the counters; see `distinct_events`."""
    distinct = distinct_events(events)
    totals = Totals()
    totals.counters["applied"] = len(distinct)
    totals.counters["duplicates"] = len(events) - len(distinct)
    totals.counters["late"] = totals.counters["lost"] = totals.counters["forgotten"] = 0
    _count_products(totals, distinct)
    _count_trend(totals, distinct, rules.half_life_ms)
    _count_orders(totals, distinct)
    _count_visitors(totals, distinct, rules)
    totals.buckets = {bucket: count for bucket, count in totals.buckets.items() if count}
    return totals


def distinct_events(events: pl.DataFrame) -> pl.DataFrame:
    """Each id and each line of an order once per visitor; a line is known by its product."""
    ordered = (pl.col("event_type") == "purchase") & pl.col("order_id").is_not_null()
    line = pl.when(ordered).then(pl.struct("order_id", "product_id"))
    distinct = events.unique(["user_id", "event_id"], keep="first", maintain_order=True)
    repeated = line.is_not_null() & ~pl.struct("user_id", line.alias("line")).is_first_distinct()
    return distinct.filter(~repeated)


def _count_products(totals: Totals, events: pl.DataFrame) -> None:
    """Events, units and revenue, per product and for the shop, in every grain."""
    bought = events.filter(pl.col("event_type") == "purchase")
    sold = bought.filter(pl.col("price_minor").is_not_null() & pl.col("currency").is_not_null())
    one = pl.lit(1, pl.Int64)
    parts = (
        events.select("at_ms", "product_id", field=pl.col("event_type").replace_strict(_LETTERS), n=one),
        bought.select("at_ms", "product_id", field=pl.lit("u"), n="quantity"),
        sold.select(
            "at_ms",
            "product_id",
            field=pl.lit("m.") + pl.col("currency"),
            n=pl.col("price_minor") * pl.col("quantity"),
        ),
    )
    every = pl.concat(parts)
    for grain, width in _WIDTHS_MS.items():
        start = (pl.col("at_ms") // width * width).alias("start")
        for at, product, field, n in (
            every.group_by(start, "product_id", "field").agg(pl.sum("n")).iter_rows()
        ):
            totals.buckets["product", grain, at, f"{field}:{product}"] = n
        for at, field, n in every.group_by(start, "field").agg(pl.sum("n")).iter_rows():
            totals.buckets["shop", grain, at, field] = n


def _count_trend(totals: Totals, events: pl.DataFrame, half_life_ms: int) -> None:
    """Weights grown since the start of the day, all events of a minute as of its start."""
    landmark = (pl.col("at_ms") // _DAY_MS * _DAY_MS).alias("landmark")
    minute = pl.col("at_ms") // 60_000 * 60_000
    weight = pl.col("event_type").replace_strict(_WEIGHTS, return_dtype=pl.Float64)
    grown = (weight * 2.0 ** ((minute - landmark) / half_life_ms)).alias("score")
    scores = events.filter(weight > 0).group_by(landmark, "product_id").agg(grown.sum())
    totals.trend = {(at, product): score for at, product, score in scores.iter_rows()}


def _count_orders(totals: Totals, events: pl.DataFrame) -> None:
    """Orders, in the minute of the first line; lines without an id are one per visitor and millisecond."""
    bought = events.filter(pl.col("event_type") == "purchase")
    at_ms = pl.when(pl.col("order_id").is_null()).then(pl.col("at_ms"))
    orders = bought.group_by("user_id", "order_id", at_ms.alias("moment")).agg(pl.min("at_ms"))
    for at in orders["at_ms"]:
        _add(totals, at, "o", 1)


def _count_visitors(totals: Totals, events: pl.DataFrame, rules: TotalsRules) -> None:
    ends = _watermarks(events, rules)
    rows = events.select(
        "user_id", "at_ms", pl.col("event_type").replace_strict(dict(zip(TYPES, range(5), strict=True))),
        "event_id", "product_id", "quantity", "price_minor", "currency", "session_id",
    ).sort("user_id", "at_ms", "event_type")  # fmt: skip
    for user, group in groupby(rows.iter_rows(), key=lambda row: row[0]):
        actions = sorted((row[1:] for row in group), key=lambda a: (a[0], a[1], tie_of(a[2])))
        sessions = list(_sessions(actions, rules.idle_ms))
        last_ms = actions[-1][0]
        ended = rules.live or last_ms + rules.idle_ms < ends[partition_of(user, rules.partitions)]
        _count_sessions(totals, sessions, ended, rules.idle_ms)
        start, cart, last = sessions[-1]
        counts, units, revenue = _sums(actions)
        session_counts, session_units, session_revenue = _sums(last)
        named = [action[7] for action in last if action[7] is not None]
        totals.visitors[user] = VisitorView(
            actions[0][0], last_ms, counts, units, revenue, len(sessions), start, last_ms, session_counts,
            session_units, session_revenue, named[-1] if named else None, cart, ended,
        )  # fmt: skip


def _watermarks(events: pl.DataFrame, rules: TotalsRules) -> dict[int, int]:
    ends: dict[int, int] = {}
    for user, at_ms in events.group_by("user_id").agg(pl.max("at_ms")).iter_rows():
        partition = partition_of(user, rules.partitions)
        ends[partition] = max(ends.get(partition, 0), at_ms - rules.disorder_ms)
    return ends


def _sessions(
    actions: list[tuple[Any, ...]], idle_ms: int
) -> Iterator[tuple[int, dict[str, CartView], list[tuple[Any, ...]]]]:
    """Start, cart at the end, and actions of each session."""
    cart: dict[str, CartView] = {}
    session: list[tuple[Any, ...]] = []
    for action in actions:
        if session and action[0] - session[-1][0] > idle_ms:
            yield session[0][0], dict(cart), session
            session = []
        session.append(action)
        fill_cart(cart, action)
    yield session[0][0], cart, session


def fill_cart(cart: dict[str, CartView], action: tuple[Any, ...]) -> None:
    """Put an action (time, rank, any, product, quantity, price, currency, any) into the cart."""
    at_ms, rank, _, product, quantity, price, currency, _ = action
    held = cart.get(product)
    if TYPES[rank] == "cart":
        if held is not None and price is None:
            price, currency = held.price_minor, held.currency
        cart[product] = CartView(quantity + (held.quantity if held else 0), price, currency, at_ms)
    elif TYPES[rank] == "purchase":
        cart.pop(product, None)
    elif TYPES[rank] == "remove_from_cart" and held is not None:
        if held.quantity > quantity:
            cart[product] = held._replace(quantity=held.quantity - quantity)
        else:
            del cart[product]


def _count_sessions(totals: Totals, sessions: list[Any], last_ended: bool, idle_ms: int) -> None:
    for number, (start, cart, actions) in enumerate(sessions, 1):
        kinds = {TYPES[action[1]] for action in actions}
        _add(totals, start, "s", 1)
        _add(totals, start, "sv", bool(kinds & {"view", "favorite"}))
        _add(totals, start, "sc", "cart" in kinds)
        _add(totals, start, "sp", "purchase" in kinds)
        if number < len(sessions) or last_ended:
            end = actions[-1][0] + idle_ms
            _add(totals, end, "se", 1)
            _add(totals, end, "ca", "cart" in kinds and "purchase" not in kinds and bool(cart))


def _sums(actions: list[tuple[Any, ...]]) -> tuple[tuple[int, ...], int, dict[str, int]]:
    counts, units, revenue = [0] * 5, 0, dict[str, int]()
    for _, rank, _, _, quantity, price, currency, _ in actions:
        counts[rank] += 1
        if TYPES[rank] == "purchase":
            units += quantity
            if price is not None and currency is not None:
                revenue[currency] = revenue.get(currency, 0) + price * quantity
    return tuple(counts), units, revenue


def _add(totals: Totals, at_ms: int, field: str, change: int) -> None:
    for grain, width in _WIDTHS_MS.items():
        bucket = ("shop", grain, at_ms // width * width, field)
        totals.buckets[bucket] = totals.buckets.get(bucket, 0) + change


def tie_of(event_id: str) -> bytes:
    """Order of equal events of one millisecond, as the visitor contract has it."""
    return hashlib.blake2b(event_id.encode(), digest_size=8).digest()
