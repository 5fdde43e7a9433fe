"""Sessions kept for recommendations: the same from any batches, in Python and compiled, and nothing left."""

import random
from collections.abc import Iterator, Sequence

import polars as pl
import pytest

from contracts.events import Event
from contracts.key_families import SEEN_PRODUCTS, SESSIONS, SESSIONS_CHANGED
from contracts.seen_products import SeenProduct, unpack_seen
from contracts.sessions import BOUGHT, CARTED, VIEWED, StoredSession, check_session, unpack_session
from contracts.settings import Settings
from contracts.subjects import visitor as subject_of
from contracts.visitor import Visitor
from core_runs import CoreRuns, entries_of
from cores import core_named
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from ops.audit.expected import COLUMNS
from ops.audit.sessions import SessionView, expected_sessions, session_differences
from shoppers import RULES, make_event
from stream.batch.core import PYTHON
from stream.batch.result import BatchResult
from stream.components.sessions.component import Sessions
from stream.components.sessions.due import DueSessions, Seen, due_sessions
from stream.components.sessions.seen import change_seen, load_seen, product_of
from stream.registry import make_registry

IDLE_MS = RULES.session.idle_ms
COMPILED = core_named("compiled").of(due_sessions)


class Kept:
    """Sessions and products as a partition keeps them, of batches that both cores take."""

    def __init__(self) -> None:
        self.runs = CoreRuns()
        self.sessions: dict[str, dict[str, StoredSession]] = {}
        self.seen: dict[str, Seen] = {}
        self.n_written = 0

    def apply(self, *batch: Event) -> None:
        """A batch, without late arrivals."""
        before = dict(self.runs.python.visitors)
        self._take(self.runs.apply(entries_of([(event, 0) for event in batch])), before)

    def pass_time(self, watermark_ms: int) -> None:
        """Let deadlines fire."""
        before = dict(self.runs.python.visitors)
        self._take(self.runs.pass_time(watermark_ms), before)

    def _take(self, result: BatchResult, before: dict[str, Visitor]) -> None:
        due = due_sessions(result.visitors, before, self.seen, IDLE_MS)
        assert COMPILED(result.visitors, before, self.seen, IDLE_MS) == due
        self._keep(due)

    def _keep(self, due: DueSessions) -> None:
        self.n_written += len(due.blobs)
        for user_id, fields in due.removed.items():
            for field in fields:
                self.sessions.get(user_id, {}).pop(field, None)
        for user_id, field, blob in zip(due.user_ids, due.fields, due.blobs, strict=True):
            session = unpack_session(blob)
            check_session(session)
            self.sessions.setdefault(user_id, {})[field] = session
        self.sessions = {user_id: mine for user_id, mine in self.sessions.items() if mine}
        self.seen.update(change_seen(self.seen, due.seen).seen)


def test_a_session_is_written_while_it_goes_on_and_when_it_ends() -> None:
    kept = Kept()
    kept.apply(make_event("view", 0, "a"))
    assert kept.sessions == {}
    kept.apply(make_event("view", 1, "a"))
    assert kept.sessions == {}, "one product says nothing"
    kept.apply(make_event("view", 2, "b"))
    assert kept.sessions == {}
    kept.apply(make_event("view", 3, "c"))
    first = make_event("view", 0, "a").event_time_ms
    assert kept.sessions["u1"]["1"] == StoredSession(first, first + 3_000, ("a", "b", "c"), (VIEWED,) * 3)
    kept.apply(make_event("cart", 4, "b"))
    assert kept.sessions["u1"]["1"].actions == (VIEWED, VIEWED, VIEWED | CARTED)
    kept.apply(make_event("view", 5, "d"))
    assert kept.n_written == 2
    kept.pass_time(first + IDLE_MS * 10)
    assert kept.sessions["u1"]["1"].items == ("a", "c", "b", "d")


def test_one_purchase_is_a_session_and_one_view_is_none() -> None:
    kept = Kept()
    kept.apply(make_event("purchase", 0, "a", user="u1", order_id="o"), make_event("view", 0, "a", user="u2"))
    kept.pass_time(make_event("view", 0).event_time_ms + IDLE_MS * 10)
    assert [session.actions for session in kept.sessions["u1"].values()] == [(BOUGHT,)]
    assert "u2" not in kept.sessions


def random_events(seed: int, *, users: int, size: int) -> list[Event]:
    draw = random.Random(seed)
    gaps_s = (0.0, 1.0, 30.0, IDLE_MS / 1_000, IDLE_MS / 1_000 + 1)
    events, at_s = [], dict.fromkeys(range(users), 0.0)
    for number in range(size):
        user = draw.randrange(users)
        at_s[user] += draw.choice(gaps_s)
        kind = draw.choice(("view", "view", "view", "favorite", "cart", "remove_from_cart", "purchase"))
        events.append(
            make_event(
                kind, at_s[user], f"p{draw.randrange(12)}", user=f"u{user}", event_id=f"e{number}",
                price_minor=draw.choice((None, 5, 700)), currency=draw.choice((None, "EUR")),
                category=draw.choice((None, "c")), order_id=f"o{number}" if kind == "purchase" else None,
            )
        )  # fmt: skip
    return sorted(events, key=lambda event: event.event_time_ms)


@pytest.mark.parametrize("seed", range(6))
def test_any_batches_and_late_events_come_to_the_same(seed: int) -> None:
    """Of visitors of whom the state knows every action; and to what the audit says."""
    events = random_events(seed, users=3, size=110)
    end_ms = max(event.event_time_ms for event in events) + 10 * IDLE_MS
    outcomes = []
    for size, disorder in ((1, 0), (7, 0), (110, 0), (5, 4), (2, 30)):
        draw, kept = random.Random(seed), Kept()
        late = sorted(range(len(events)), key=lambda place: place + draw.uniform(0, disorder))
        for first in range(0, len(late), size):
            kept.apply(*[events[place] for place in late[first : first + size]])
            if size == 1:
                kept.pass_time(kept.runs.python.clock.max_event_ms - RULES.session.disorder_ms)
        kept.pass_time(end_ms)
        outcomes.append(kept.sessions)
    assert all(outcome == outcomes[0] for outcome in outcomes)
    rows = [
        (
            e.event_id,
            e.event_type,
            e.event_time_ms,
            e.user_id,
            e.product_id,
            e.quantity,
            None,
            None,
            e.order_id,
            None,
        )
        for e in events
    ]
    expected = expected_sessions(pl.DataFrame(rows, schema=COLUMNS, orient="row"), IDLE_MS)
    assert sum(map(len, expected.values())) > 10
    found = {
        user: {int(field): SessionView(*session) for field, session in mine.items()}
        for user, mine in outcomes[0].items()
    }
    assert session_differences(expected, found) == []
    found["u0"] = {}
    (told,) = session_differences(expected, found)
    assert told.startswith("sessions of u0: expected {")


def test_of_a_visitor_who_never_stops_the_newest_actions_are_kept() -> None:
    kept = Kept()
    events = [make_event("view", i, f"p{i}", event_id=f"e{i}") for i in range(400)]
    for first in range(0, 400, 7):
        kept.apply(*events[first : first + 7])
    kept.pass_time(events[-1].event_time_ms + 10 * IDLE_MS)
    (session,) = kept.sessions["u1"].values()
    assert (session.start_ms, session.items[-1]) == (events[0].event_time_ms, "p399")


def test_products_are_as_their_newest_action_told() -> None:
    kept = Kept()
    kept.apply(
        make_event("view", 0, "a", price_minor=900, currency="EUR", category="Mugs", brand="Acme"),
        make_event("view", 1, "b"),
    )
    kept.apply(make_event("cart", 2, "a", price_minor=800, currency="EUR"))
    kept.apply(make_event("cart", 3, "b"))  # the first action of `a` is read again
    assert {id_: product_of(seen) for id_, seen in kept.seen.items()} == {
        "a": SeenProduct("Mugs", "Acme", 800, "EUR"),
        "b": SeenProduct(price_minor=100, currency="EUR"),
    }


def test_products_that_changed_longest_ago_are_dropped() -> None:
    known = {f"p{i}": Seen(i, b"\xc0" * 4) for i in range(4)}
    newer = {"new": Seen(9, b"\xc0" * 4)}
    assert change_seen(known, newer, 4).dropped == frozenset()
    change = change_seen(known, newer | {"newer": Seen(10, b"\xc0" * 4)}, 4)
    assert (set(change.dropped), set(change.seen)) == ({"p0", "p1"}, {"new", "newer"})


def test_what_nobody_wrote_of_a_product_is_told_anew(caplog: pytest.LogCaptureFixture) -> None:
    assert load_seen({"a": "{}", "b": "[null,null,null,null]"}).keys() == {"b"}
    assert "cannot be read" in caplog.text


class Shop:
    """A worker in memory that keeps the sessions of few visitors."""

    def __init__(self) -> None:
        self.settings = Settings(partitions=2, scoring=False, session_visitors=6)
        self.kafka, self.store = MemoryLog(2), WatchedStore(self.settings)
        self.start()

    def start(self) -> None:
        """A worker that knows nothing but what is stored."""
        registry = make_registry(self.settings, PYTHON)
        self.worker = MemoryWorker(self.settings, registry, self.kafka, self.store, PYTHON)

    async def feed(self, events: Sequence[Event]) -> None:
        for event in events:
            self.kafka.send(event)
        await self.worker.read()

    def ids(self) -> set[str]:
        """Visitors who have sessions."""
        return {id_ for part in self.store.partitions.values() for id_ in part.names(SESSIONS)}

    def changed(self) -> dict[str, float]:
        """When sessions of each visitor changed."""
        parts = self.store.partitions.values()
        return {id_: score for part in parts for id_, score in part.scores(SESSIONS_CHANGED).items()}


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.worker.slots.close()


def visit(user: str, second: float) -> list[Event]:
    return [
        make_event("view", second, "a", user=user, category="c", event_id=f"{user}{second}a"),
        make_event("view", second + 1, "b", user=user, event_id=f"{user}{second}b"),
    ]


async def test_the_newest_visitors_are_kept_and_times_never_go_back(shop: Shop) -> None:
    times: dict[str, float] = {}
    for number in range(40):
        await shop.feed(visit(f"u{number}", number * 10))
        if number == 20:
            shop.start()
        now = shop.changed()
        assert all(now[id_] >= times.get(id_, 0) for id_ in now)
        times |= now
    assert len(shop.ids()) == 6
    assert shop.ids() == shop.changed().keys()
    seen = [part.hash(SEEN_PRODUCTS) for part in shop.store.partitions.values()]
    assert all(unpack_seen(products["a"]).category == "c" for products in seen)


def test_nothing_is_left_of_a_deleted_visitor() -> None:
    component = Sessions(Settings())
    keys = {
        key for write in component.forget(component.load({}), subject_of("u1")).writes for key in write.keys
    }
    assert keys == {SESSIONS + "u1", SESSIONS_CHANGED}
