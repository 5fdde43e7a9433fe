"""The alerts of abandoned carts that must exist for what was sent: it shares no code with the stream."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import polars as pl

from contracts.alerts import CART_ABANDONED, AlertState, make_alert_id
from contracts.events import EventType
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from ops.audit.compare import CartView
from ops.audit.expected import CART, PURCHASE, TYPES, fill_cart, tie_of

FETCH_MS = 1_000
"""Within so long after its arrival at the broker an event is surely applied by a worker that keeps up."""
CROSSING_MS = 250
"""Of events in different topics that arrive within so short a time either may be applied first."""
STALE_MS = 600_000
"""What arrives so long after it happened, or later, is recorded only."""
FOREVER_MS = 2**62
_NAMES = ("category", "brand")
TOPICS = tuple(Topics().of(kind) for kind in sorted(EventType, key=lambda kind: kind.rank))
"""Topic of the sent events of each rank."""


class SentEvent(NamedTuple):
    """One event of one visitor; `arrived_ms` is when the broker got it. Sorts as visitors' actions do."""

    at_ms: int
    rank: int
    tie: bytes
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None
    arrived_ms: int
    category: str | None = None
    brand: str | None = None


class CartStep(NamedTuple):
    """One step in the life of a `cart_abandoned` alert, as far as it follows from the events alone."""

    record_id: str
    user_id: str
    state: AlertState
    at_ms: int
    fired_ms: int
    session_start_ms: int
    episode: int
    cart_lines: int
    live: bool


@dataclass(frozen=True, slots=True)
class CartAlertRules:
    """What the alerts depend on, in ms. If `live`, the clock goes on after the last event."""

    partitions: int
    idle_ms: int
    disorder_ms: int
    cart_idle_ms: int
    recovery_ms: int
    cooldown_ms: int
    live: bool

    @classmethod
    def of(cls, settings: Settings, *, live: bool) -> "CartAlertRules":
        """The rules in the settings."""
        return cls(
            settings.partitions,
            settings.idle_ms,
            settings.disorder_ms,
            min(settings.cart_idle_ms, settings.idle_ms),
            settings.cart_recovery_ms,
            settings.alert_cooldown_ms,
            live,
        )


def sent_events_of(events: pl.DataFrame) -> Iterator[tuple[str, list[SentEvent]]]:
    """The distinct events of each visitor in order; `events` has `COLUMNS` and `arrived_ms`.

    Category and brand are known where `events` has columns of that name.
    """
    distinct = events.unique(["user_id", "event_id"], keep="first", maintain_order=True)
    rank = pl.col("event_type").replace_strict(dict(zip(TYPES, range(len(TYPES)), strict=True)))
    absent = [pl.lit(None, pl.String).alias(name) for name in _NAMES if name not in events.columns]
    rows = distinct.with_columns(absent).select(
        "user_id", "at_ms", rank, "event_id", "product_id", "quantity", "price_minor", "currency",
        "arrived_ms", *_NAMES,
    ).sort("user_id")  # fmt: skip
    for user, group in groupby(rows.iter_rows(), key=lambda row: row[0]):
        yield user, sorted(SentEvent(at, rank, tie_of(name), *rest) for _, at, rank, name, *rest in group)


def abandoned_carts(
    sent_events: Mapping[str, Sequence[SentEvent]], rules: CartAlertRules
) -> dict[str, list[CartStep]]:
    """The steps of each visitor that has any, in order."""
    ends = _ends(sent_events, rules)
    found = {
        user: _steps(user, mine, rules, ends[partition_of(user, rules.partitions)])
        for user, mine in sent_events.items()
    }
    return {user: steps for user, steps in found.items() if steps}


def is_clear(sent_events: Sequence[SentEvent], steps: Iterable[CartStep], rules: CartAlertRules) -> bool:
    """Whether what must happen follows from the events alone, and not from when and in which order they came.

    It does not if an event came so late that something may have been decided without it.
    """
    ends_ms = [step.fired_ms + rules.recovery_ms for step in steps if step.state is AlertState.FIRING]
    for place, sent_event in enumerate(sent_events):
        until_ms = known_from_ms(sent_events, place, rules.disorder_ms)
        if until_ms > sent_event.at_ms:
            silences = [other.at_ms for other in sent_events[max(0, place - 1) :] if other.at_ms < until_ms]
            moments = [at_ms + gap_ms for at_ms in silences for gap_ms in (rules.cart_idle_ms, rules.idle_ms)]
            if sent_event.rank == PURCHASE:
                moments += ends_ms
                # A later purchase may have resolved, up to its own moment, what this one would have.
                moments += [other.at_ms - 1 for other in sent_events[place + 1 :] if other.rank == PURCHASE]
            if any(sent_event.at_ms <= moment_ms < until_ms for moment_ms in moments):
                return False
    return True


def known_from_ms(sent_events: Sequence[SentEvent], place: int, disorder_ms: int) -> int:
    """Event time before which something may have been decided without the sent event at this place, in ms.

    Decisions are made when the watermark passes, and when a later action of the visitor comes first.
    """
    sent_event = sent_events[place]
    until_ms = sent_event.arrived_ms + FETCH_MS - disorder_ms
    for other in sent_events[place + 1 :]:
        if other.at_ms >= sent_event.arrived_ms + CROSSING_MS:
            break
        slack_ms = 0 if TOPICS[other.rank] == TOPICS[sent_event.rank] else CROSSING_MS
        if other.arrived_ms <= sent_event.arrived_ms + slack_ms:
            until_ms = max(until_ms, other.at_ms)
    return until_ms


def _ends(sent_events: Mapping[str, Sequence[SentEvent]], rules: CartAlertRules) -> dict[int, int]:
    """Per partition the watermark at the end, in ms."""
    ends: dict[int, int] = {}
    for user, mine in sent_events.items():
        partition = partition_of(user, rules.partitions)
        newest_ms = max(min(sent_event.at_ms, sent_event.arrived_ms) for sent_event in mine)
        ends[partition] = max(ends.get(partition, 0), newest_ms - rules.disorder_ms)
    return dict.fromkeys(ends, FOREVER_MS) if rules.live else ends


def _steps(user: str, sent_events: Sequence[SentEvent], rules: CartAlertRules, end_ms: int) -> list[CartStep]:
    if all(sent_event.rank != CART for sent_event in sent_events):
        return []
    watch = _CartWatch(user, sent_events[0].at_ms, rules)
    for sent_event in sent_events:
        watch.wait(sent_event.at_ms)
        watch.see(sent_event)
    watch.wait(end_ms)
    return watch.steps


class _CartWatch:
    """One visitor's cart, session and alert while time goes by."""

    def __init__(self, user: str, first_ms: int, rules: CartAlertRules) -> None:
        self.steps: list[CartStep] = []
        self._user = user
        self._first_ms = first_ms
        self._rules = rules
        self._cart: dict[str, CartView] = {}
        self._number = self._start_ms = self._last_ms = self._episode = 0
        self._carted = self._bought = self._stale = False
        self._decided = True
        """Whether it was decided already what the present silence means."""
        self._open: CartStep | None = None
        self._quiet_ms = 0

    def wait(self, until_ms: int) -> None:
        """Everything that happens before this moment without an action."""
        while True:
            expires_ms = FOREVER_MS if self._open is None else self._open.fired_ms + self._rules.recovery_ms
            silent_ms = FOREVER_MS if self._decided else self._last_ms + self._rules.cart_idle_ms
            if min(expires_ms, silent_ms) >= until_ms:
                return
            if expires_ms <= silent_ms:
                self._close(AlertState.EXPIRED, expires_ms)
            else:
                self._decided = True
                left = self._carted and self._cart and not self._bought
                if left and self._open is None and silent_ms >= self._quiet_ms:
                    self._fire(silent_ms)

    def see(self, sent_event: SentEvent) -> None:
        """An action."""
        if not self._number or sent_event.at_ms - self._last_ms > self._rules.idle_ms:
            self._number += 1
            self._start_ms, self._episode = sent_event.at_ms, 0
            self._carted = self._bought = False
        self._last_ms, self._decided = sent_event.at_ms, False
        self._stale = sent_event.arrived_ms - sent_event.at_ms >= STALE_MS
        fill_cart(self._cart, (*sent_event[:7], None))
        self._carted |= sent_event.rank == CART
        if sent_event.rank == PURCHASE:
            self._bought = True
            self._close(AlertState.RESOLVED, sent_event.at_ms)

    def _fire(self, at_ms: int) -> None:
        self._episode += 1
        kind = CART_ABANDONED
        alert_id = make_alert_id(self._user, kind, self._number, self._episode, self._first_ms)
        self._quiet_ms = at_ms + max(1, self._rules.cooldown_ms)
        self._open = CartStep(
            f"{alert_id}-firing", self._user, AlertState.FIRING, at_ms, at_ms, self._start_ms, self._episode,
            len(self._cart), not self._stale,
        )  # fmt: skip
        self.steps.append(self._open)

    def _close(self, state: AlertState, at_ms: int) -> None:
        if self._open is not None:
            record_id = self._open.record_id.removesuffix("firing") + state.value
            self.steps.append(self._open._replace(record_id=record_id, state=state, at_ms=at_ms))
            self._open = None
