"""A partition with scores, without Kafka and Redis: made-up traffic in batches at random, and its audit."""

import random
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from contracts.alerts import Alert, encode_alert
from contracts.clock import watermark_of
from contracts.events import Event
from contracts.scores import Score, round_score
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import Visitor
from models.next_action.encoding import encode_visitor, stack
from models.next_action.model import Model
from models.next_action.prices import UNKNOWN_LEVEL
from ops.audit import (
    AlertAudit,
    CartAlertRules,
    ChurnAlertRules,
    ScoreReplay,
    audit_alerts,
    sent_events_of,
    silences_of,
)
from ops.audit.expected import NAMED_COLUMNS
from ops.audit.price_track import price_tracks
from ops.audit.recorded_alerts import RecordedAlerts, open_in
from ops.chaos.shoppers import Shoppers
from ops.chaos.system import SETTINGS as SITE_SETTINGS
from shoppers import NOW_MS
from stream.batch.merge import merge_heads
from stream.batch.step import (
    BatchResult,
    Clock,
    Entry,
    StepSettings,
    apply_batch,
    fire_deadlines,
    take_scores,
)

BATCH_EVENTS = 300
FIELDS: dict[str, Any] = {**SITE_SETTINGS, "partitions": 1, "batch_events": BATCH_EVENTS}
SETTINGS = Settings.model_validate(FIELDS)
RULES = StepSettings.of(SETTINGS)
TOPICS = Topics()
LONG_MS = 3_600_000


class Sent(NamedTuple):
    """An event and when the broker got it."""

    event: Event
    arrived_ms: int


def make_traffic(
    seed: int, *, n_events: int = 2_500, active: int = 40, step_ms: int = 25, spread_ms: int = 300
) -> list[Sent]:
    """What `active` visitors did, each about once a second and up to `spread_ms` late, as it arrived."""
    shoppers, draw = Shoppers(seed, active=active), random.Random(seed + 1)
    arrived_ms = NOW_MS
    sent = []
    for i in range(n_events):
        now_ms = NOW_MS + i * step_ms
        arrived_ms = max(arrived_ms, now_ms + draw.randint(1, 20))
        sent.append(Sent(shoppers.next_event(now_ms, spread_ms=spread_ms), arrived_ms))
    return sent


class ScoredShop:
    """One partition whose visitors are scored after every batch, but for a share of the batches (`skip`)."""

    def __init__(self, model: Model, *, skip: float = 0.0) -> None:
        self.visitors: dict[str, Visitor] = {}
        self.alerts: list[Alert] = []
        self.counters: Counter[str] = Counter(scored=0, skipped=0)
        self._model = model
        self._skip = skip
        self._clock = Clock(0, 0)
        self._level = UNKNOWN_LEVEL
        self._timers: dict[str, int] = {}

    def run(self, sent: Sequence[Sent], draw: random.Random) -> None:
        """Apply everything: rounds begin at random, topics lag by up to 200 ms, and backlogs pile up."""
        buffers: dict[str, deque[Entry]] = {topic: deque() for topic in TOPICS.events}
        lags_ms = {topic: draw.randint(0, 200) for topic in TOPICS.events}
        on_way = deque(sorted(sent, key=lambda one: one.arrived_ms + lags_ms[_topic(one)]))
        now_ms = sent[0].arrived_ms
        while on_way or any(buffers.values()):
            now_ms += draw.choice((20, 20, 20, 100, 500, draw.randint(1_000, 4_000)))
            while on_way and on_way[0].arrived_ms + lags_ms[_topic(on_way[0])] <= now_ms:
                event, arrived_ms = on_way.popleft()
                buffers[_topic(Sent(event, arrived_ms))].append(
                    Entry(0, event.event_time_ms, arrived_ms, event, None)
                )
            limit = draw.randint(1, BATCH_EVENTS)
            entries, _ = merge_heads(buffers, TOPICS.events, awaited=frozenset(), limit=limit)
            if entries:
                self._apply(entries, draw)
            self._pass_time(now_ms, caught_up=not any(buffers.values()))
        self._pass_time(now_ms + LONG_MS, caught_up=True)

    def _apply(self, entries: list[Entry], draw: random.Random) -> None:
        outcome = apply_batch(self._clock, entries, self.visitors, RULES)
        self._level = self._level.after_all(outcome.counts.prices)
        wanted = {user: visitor for user, visitor in outcome.visitors.items() if not visitor.ended}
        if draw.random() < self._skip:
            self.counters["skipped"] += len(wanted)
        elif wanted:
            self.counters["scored"] += len(wanted)
            encoded = [encode_visitor(v, self._level, SETTINGS.idle_ms) for v in wanted.values()]
            chances, purchases = self._model.predict(*stack(encoded))
            scores = {
                user: round_score(
                    Score(
                        self._model.version,
                        v.head.last_ms,
                        sum(v.head.counts),
                        v.head.number,
                        tuple(row),
                        purchase,
                    )
                )
                for (user, v), row, purchase in zip(
                    wanted.items(), chances.tolist(), purchases.tolist(), strict=True
                )
            }
            take_scores(outcome, scores, RULES.alerts)
        self._adopt(outcome)

    def _pass_time(self, now_ms: int, *, caught_up: bool) -> None:
        watermark_ms = watermark_of(*self._clock, SETTINGS.disorder_ms, now_ms=now_ms, caught_up=caught_up)
        while due := [user for user, at_ms in self._timers.items() if at_ms < watermark_ms]:
            self._adopt(fire_deadlines(self._clock, watermark_ms, due, self.visitors, RULES))

    def _adopt(self, outcome: BatchResult) -> None:
        self._clock = outcome.clock
        self.visitors.update(outcome.visitors)
        self.alerts += outcome.prediction_results.alerts
        self._timers.update(outcome.timers)
        self._timers = {user: at_ms for user, at_ms in self._timers.items() if at_ms}


def open_replay_of(sent: Sequence[Sent], model: Model) -> ScoreReplay:
    """The replay of scores of this traffic."""
    rows = [(one.event.event_id, 0, one.arrived_ms) for one in sent]
    copies = pl.DataFrame(rows, schema=["event_id", "partition", "arrived_ms"], orient="row")
    tracks = price_tracks(frame_of(sent), copies, batch_events=BATCH_EVENTS)
    return ScoreReplay(
        model, tracks, partitions=1, idle_ms=SETTINGS.idle_ms, silences_ms=silences_of(SETTINGS)
    )


def audit(
    shop: ScoredShop, sent: Sequence[Sent], alerts: Sequence[Alert], replay: ScoreReplay | None
) -> AlertAudit:
    """The audited of the audit if these had been the alerts in log and topic."""
    log = [(alert.record_id, encode_alert(alert)) for alert in alerts]
    outlooks = {user: visitor.predictions for user, visitor in shop.visitors.items()}
    found = RecordedAlerts(
        log,
        log,
        Counter((alert.kind, alert.state) for alert in alerts),
        open_in(outlooks.values()),
        outlooks,
        shop.counters,
    )
    sent_events = dict(sent_events_of(frame_of(sent)))
    return audit_alerts(
        found, sent_events, CartAlertRules.of(SETTINGS, live=True), ChurnAlertRules.of(SETTINGS), replay
    )


def frame_of(sent: Sequence[Sent]) -> pl.DataFrame:
    """The events as the audit wants them."""
    rows = [
        (e.event_id, e.event_type.value, e.event_time_ms, e.user_id, e.product_id, e.quantity, e.price_minor,
         e.currency, e.order_id, e.session_id, e.category, e.brand, arrived_ms)
        for e, arrived_ms in sent
    ]  # fmt: skip
    return pl.DataFrame(rows, schema={**NAMED_COLUMNS, "arrived_ms": pl.Int64}, orient="row")


def _topic(one: Sent) -> str:
    return TOPICS.of(one.event.event_type)
