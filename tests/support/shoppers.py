"""Short ways to say what shoppers did, for the tests of the stream."""

import hashlib
from collections import Counter
from typing import Any

from contracts.alerts import Alert
from contracts.deletions import Deletion, digest_user
from contracts.events import Event, EventType
from contracts.settings import Settings
from contracts.visitor import Action, Visitor
from stream.batch.core import PYTHON, Core
from stream.batch.entries import Clock, Entry
from stream.batch.result import BatchResult, Change
from stream.batch.step import StepSettings, fire_deadlines
from stream.components.component import TopicRecords
from stream.components.deletions.component import Deletions
from stream.components.deletions.records import DeletionRecord
from stream.components.demand import add_up

NOW_MS = 1_760_000_000_000
MINUTE_MS = 60_000
SETTINGS = Settings(
    _env_file=None, churn_fire=0.15, churn_rearm=0.25, look_again_ms=180_000, alerts_per_visitor=1_000
)
"""With every decision that a rule can make: also in silence, and as often as it likes."""
RULES = StepSettings.of(SETTINGS)
RANKS = {"view": 0, "favorite": 1, "cart": 2, "remove_from_cart": 3, "purchase": 4}
NEW = Clock(0, 0)


def make_action(
    kind: str, at_s: float, product: str = "p1", *, quantity: int = 1, price: int | None = 100, name: str = ""
) -> Action:
    """An action `at_s` seconds after the start of the test's time."""
    at_ms = NOW_MS + int(at_s * 1_000)
    digest = hashlib.blake2b(f"{kind}{at_s}{product}{name}".encode(), digest_size=8).digest()
    return Action(at_ms, RANKS[kind], digest, product, quantity, price, "EUR", None, None, None)


def make_event(kind: str, at_s: float, product: str = "p1", *, user: str = "u1", **fields: Any) -> Event:
    """An event `at_s` seconds after the start of the test's time; its id tells all of it."""
    event = Event(
        f"{user}-{kind}-{at_s}-{product}",
        EventType[kind.upper()],
        NOW_MS + int(at_s * 1_000),
        user,
        product,
        price_minor=100,
        currency="EUR",
    )
    return event._replace(**fields)


def make_entries(events: list[Event], *, arrived_ms: int | None = None) -> list[Entry]:
    """Entries as the batch consumer delivers them; each arrives at its event time unless said otherwise."""
    return [
        Entry(i, event.event_time_ms, arrived_ms or event.event_time_ms, event, None)
        for i, event in enumerate(events)
    ]


class Shop:
    """One partition without a store: states and counts after any number of batches."""

    def __init__(self, rules: StepSettings = RULES, core: Core = PYTHON, secret: str = "") -> None:
        self.rules = rules
        self.core = core
        self.deletions = Deletions(secret)
        self.clock = NEW
        self.visitors: dict[str, Visitor] = {}
        self.products: Counter[tuple[int, str]] = Counter()
        self.totals: Counter[tuple[int, str]] = Counter()
        self.counters: Counter[str] = Counter()
        self.timers: dict[str, int] = {}
        self.alerts: list[Alert] = []
        self.forgotten: dict[str, int] = {}

    def apply(self, entries: list[Entry]) -> BatchResult:
        """Apply one batch."""
        screen = self.deletions.screen(self.forgotten)
        screens = [] if screen is None else [screen]
        return self._adopt(
            self.core.apply_batch(self.clock, entries, self.visitors, self.rules, screens=screens)
        )

    def forget(self, user: str, record_ms: int) -> Change:
        """Apply a deletion of a visitor that was recorded then."""
        digest = digest_user(user, self.deletions.secret)
        item = DeletionRecord(0, record_ms, Deletion("d1", digest, record_ms, ""), None)
        users = {digest: user} if user in self.visitors else {}
        change = self.deletions.apply_records(self.forgotten, TopicRecords([item], self.clock, {}, users))
        for subject in change.forget:
            self.visitors.pop(subject.id, None)
            self.timers.pop(subject.id, None)
        self.forgotten = dict(self.forgotten if change.state is None else change.state)
        result = BatchResult(self.clock)
        result.add(self.deletions.name, change)
        self._adopt(result)
        return change

    def fire(self, watermark_ms: int) -> None:
        """Fire deadlines until none before the watermark is left."""
        while due := [user for user, at_ms in self.timers.items() if at_ms < watermark_ms]:
            self._adopt(fire_deadlines(self.clock, watermark_ms, due, self.visitors, self.rules))

    def _adopt(self, outcome: BatchResult) -> BatchResult:
        self.clock = outcome.clock
        self.visitors.update(outcome.visitors)
        self.counters.update(outcome.counters)
        self.alerts += outcome.prediction_results.alerts
        for user, at_ms in outcome.timers.items():
            if at_ms:
                self.timers[user] = at_ms
            else:
                self.timers.pop(user, None)
        for mine, theirs in zip((self.products, self.totals), add_up(outcome.counts), strict=True):
            for minute, fields in theirs.items():
                for name, change in fields.items():
                    mine[minute, name] += change
        return outcome

    def total(self, metric: str) -> int:
        """A shop counter, all minutes together."""
        return sum(change for (_, name), change in self.totals.items() if name == metric)
