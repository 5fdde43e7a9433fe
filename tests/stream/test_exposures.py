"""Exposures in a worker without Kafka and Redis: what follows from them is counted once, and where."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from contracts.deletions import Deletion, digest_user, encode_deletion, secret_id_of
from contracts.events import Event
from contracts.exposures import BOUGHT, CARTED, CLICKED, MAX_KEPT, Exposure, encode_exposure, unpack_exposures
from contracts.key_families import EXPOSED, EXPOSURE_BUCKETS, EXPOSURES
from contracts.settings import Settings
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from shoppers import NOW_MS, make_event
from stream.components.exposures import component
from stream.registry import product_registry
from stream.state.memory_partition import MemoryPartition

SETTINGS = Settings(partitions=1, scoring=False, deletion_secret="s")  # noqa: S106
MINUTE_S, HOUR_S = 60, 3_600


def exposure(
    at_s: float, *ids: str, rec: str = "", user: str = "u1", scenario: str = "for_you", arm: str = "main"
) -> Exposure:
    at_ms = NOW_MS + int(at_s * 1_000)
    return Exposure(rec or f"{user}-{scenario}-{at_s}", user, at_ms, scenario, arm, "m", ids)


class Shop:
    """A log and a store, and one worker after the other."""

    def __init__(self) -> None:
        self.kafka, self.store = MemoryLog(1), WatchedStore(SETTINGS)
        self.restart()

    def restart(self) -> None:
        """The next owner, with nothing in memory."""
        self.worker = MemoryWorker(SETTINGS, product_registry(SETTINGS), self.kafka, self.store)

    async def send(self, *sent: Exposure | Event) -> None:
        """Write these, and let the worker apply them."""
        for each in sent:
            if isinstance(each, Exposure):
                self.kafka.append("exposures", each.user_id, encode_exposure(each), each.at_ms)
            else:
                self.kafka.send(each)
        await self.worker.read()

    @property
    def part(self) -> MemoryPartition:
        return self.store.partitions[0]

    def counts(self, grain: str = "day") -> Counter[str]:
        """All counters of a grain; `:for_you:main` is left out."""
        found = Counter[str]()
        prefix = f"{EXPOSURE_BUCKETS}:{grain}:"
        for start in self.part.names(prefix):
            for field, number in self.part.hash(prefix + start).items():
                found[field.removesuffix(":for_you:main")] += int(number)
        return found

    def marks(self, user: str = "u1") -> list[tuple[int, ...]]:
        """What followed from the exposures of a visitor, the newest first."""
        return [each.marks for each in unpack_exposures(self.part.values[EXPOSURES + user]).exposures]


async def test_what_follows_is_counted_once_and_given_to_the_newest_exposure_that_had_it() -> None:
    shop = Shop()
    await shop.send(exposure(0, "p1", "p2"), exposure(60, "p2", "p3", scenario="similar"))
    await shop.send(
        make_event("view", 100, "p1"), make_event("view", 110, "p1"), make_event("view", 120, "p2"),
        make_event("cart", 130, "p1"), make_event("cart", 140, "p9"),
        make_event("purchase", 150, "p1", quantity=2, order_id="o1"),
        make_event("purchase", 160, "p1", quantity=1, currency="USD", order_id="o2"),
    )  # fmt: skip
    assert shop.counts() == shop.counts("hour") == {
        "n": 1, "i": 2, "c": 1, "a": 1, "p": 1, "u": 3, "m.EUR": 200, "m.USD": 100,
        "v": 1, "vb": 1, "vr": 200, "vs": 4,
        "n:similar:main": 1, "i:similar:main": 2, "c:similar:main": 1, "v:similar:main": 1,
        "vb:similar:main": 1, "vr:similar:main": 200, "vs:similar:main": 4,
    }  # fmt: skip
    assert shop.marks() == [(CLICKED, 0), (CLICKED | CARTED | BOUGHT, 0)]


async def test_times_bound_what_follows_and_a_late_event_counts_when_it_happened() -> None:
    shop = Shop()
    await shop.send(exposure(10, "p1", "p2", "p3", "p4"))
    await shop.send(
        make_event("view", 5, "p1"), make_event("view", 10 + 30 * MINUTE_S, "p2"),
        make_event("view", 11 + 30 * MINUTE_S, "p3"), make_event("cart", 10 + 24 * HOUR_S, "p3"),
        make_event("cart", 11 + 24 * HOUR_S, "p4"),
    )  # fmt: skip
    assert shop.marks() == [(0, CLICKED, CARTED, 0)]
    shop = Shop()
    await shop.send(exposure(0, "p1"), exposure(100, "p1"))
    await shop.send(make_event("cart", 200, "p1"))
    await shop.send(make_event("view", 50, "p1"))
    assert shop.marks() == [(CARTED,), (CLICKED,)]


async def test_purchases_of_other_products_count_for_the_group_and_squares_are_of_sums() -> None:
    shop = Shop()
    await shop.send(exposure(0, "p1", arm="held_out"), exposure(50, "p2", arm="held_out"))
    for number in range(3):
        at_s = 100 + number
        await shop.send(make_event("purchase", at_s, "p9", price_minor=1_050, order_id=f"o{number}"))
    assert {name.split(":")[0]: number for name, number in shop.counts().items()} == {
        "n": 2, "i": 2, "v": 1, "vb": 1, "vr": 3_150, "vs": 992,
    }  # fmt: skip
    await shop.send(exposure(25 * HOUR_S, "p1", arm="held_out"))
    assert shop.counts()["v:for_you:held_out"] == 2, "another day of the visitor"


async def test_the_same_record_again_and_one_too_many_leave_the_rest_as_it_is() -> None:
    shop = Shop()
    await shop.send(*[exposure(n, "p1") for n in range(MAX_KEPT + 2)])
    await shop.send(exposure(MAX_KEPT, "p1"))
    assert shop.counts()["n"] == MAX_KEPT + 2
    assert len(shop.marks()) == MAX_KEPT


def random_log(seed: int) -> list[Exposure | Event]:
    draw, sent = random.Random(seed), list[Exposure | Event]()
    for number in range(150):
        at_s, user, product = draw.random() * 600 + number, f"u{draw.randrange(4)}", f"p{draw.randrange(5)}"
        if draw.random() < 0.12:
            sent.append(exposure(at_s, product, f"{product}-x", rec=f"r{number}", user=user))
        else:
            kind = draw.choice(("view", "view", "cart", "purchase"))
            order = f"o{number}" if kind == "purchase" else None
            sent.append(make_event(kind, at_s, product, user=user, event_id=f"e{number}", order_id=order))
    return sent


async def apply(log: Sequence[Exposure | Event], *, restarts: bool, repeats: bool) -> Shop:
    shop, draw = Shop(), random.Random(0)
    for each in log:
        await shop.send(each)
        if restarts and draw.random() < 0.2:
            shop.restart()
        if repeats and draw.random() < 0.3:
            await shop.send(each)
    return shop


@pytest.mark.parametrize("seed", range(3))
async def test_restarts_and_repeats_come_to_the_same(seed: int) -> None:
    log = random_log(seed)
    plain = await apply(log, restarts=False, repeats=False)
    assert min(plain.counts()["c"], plain.counts()["p"]) > 0
    other = await apply(log, restarts=True, repeats=True)
    assert other.counts() == plain.counts()
    assert [other.marks(f"u{n}") for n in range(4)] == [plain.marks(f"u{n}") for n in range(4)]


async def test_others_are_not_looked_up_and_who_is_exposed_is_known_to_the_next_owner() -> None:
    shop = Shop()
    await shop.send(exposure(0, "p1"), make_event("view", 1, "p1", user="u2"))
    shop.restart()
    await shop.send(make_event("view", 2, "p1", user="u2"), make_event("view", 3, "p1"))
    assert shop.counts()["c"] == 1
    part = shop.worker.assignment.partitions[0]
    assert len(part.values["exposures"]) == 1
    assert part.states["exposures"].settled() == {"u1": NOW_MS}


async def test_visitors_are_followed_for_a_day_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    await shop.send(exposure(0, "p1"), make_event("view", 25 * HOUR_S, "p1", user="u2"))
    await shop.send(exposure(25 * HOUR_S, "p1", user="u2"))
    assert set(shop.part.hash(EXPOSED)) == {"u2"}
    monkeypatch.setattr(component, "MOST", 2)
    for n in range(3, 6):
        await shop.send(exposure(25 * HOUR_S + n, "p1", user=f"u{n}"))
    assert set(shop.part.hash(EXPOSED)) == {"u4", "u5"}
    assert set(shop.worker.assignment.partitions[0].states["exposures"].settled()) == {"u4", "u5"}


async def test_nothing_is_kept_of_who_is_deleted_and_later_records_of_them_are_left_out() -> None:
    shop, digest = Shop(), digest_user("u1", "s")
    await shop.send(exposure(0, "p1"), exposure(0, "p1", user="u2"), make_event("view", 1, "p1"))
    deletion = Deletion("d1", digest, NOW_MS + 5_000, secret_id_of("s"))
    shop.kafka.append("deletions", digest, encode_deletion(deletion), deletion.at_ms)
    await shop.send(exposure(4, "p1"))
    assert shop.part.names(EXPOSURES) == ["u2"]
    assert set(shop.part.hash(EXPOSED)) == {"u2"}
    assert shop.counts()["n"] == 2, "what was counted stays"
    await shop.send(make_event("view", 60, "p1"))
    assert shop.counts()["c"] == 1


async def test_a_bad_record_becomes_a_dead_letter() -> None:
    shop = Shop()
    shop.kafka.append("exposures", "u1", b"{}", NOW_MS)
    shop.kafka.append("exposures", "u2", encode_exposure(exposure(0, "p1")), NOW_MS)
    await shop.worker.read()
    assert len(shop.store.outbox("rejected")) == 2
    assert shop.store.counter("rejected") == 2
