"""The example extension on the memory store, with the steps in Python and the compiled ones."""

import json
import math
from copy import deepcopy

import msgpack
import orjson
import pytest

from contracts.alerts import Alert, decode_alert
from contracts.dead_letters import decode_dead_letter
from contracts.deletions import Deletion, digest_user, encode_deletion, secret_id_of
from contracts.key_families import OUTBOX, QUALITY_BUCKETS
from contracts.settings import Settings
from contracts.subjects import product
from contracts.visitor import FORMAT_WITH_EXTRA, unpack_visitor
from cores import NAMES, core_named
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from models.quality import add_up, by_version
from models.slot_quality import by_slot, slot_figures
from shoppers import NOW_MS, make_event
from stream.registry import make_registry
from stream.state.writes import AppendToStream, PutBlobs, Write

MINUTE_S = 60


class Shop:
    """A log, a store, and one worker after the other."""

    def __init__(self, settings: Settings, core_name: str) -> None:
        self.settings = settings
        self.kafka = MemoryLog(settings.partitions)
        self.store = WatchedStore(settings)
        self._core = core_named(core_name)
        self.worker = self.start_worker()

    def start_worker(self) -> MemoryWorker:
        """The next owner of all partitions, which knows what is in the store and nothing else."""
        self.worker = MemoryWorker(
            self.settings, make_registry(self.settings), self.kafka, self.store, self._core
        )
        return self.worker

    def count(self, product_id: str, units: object, at_s: float, *, key: str | None = None) -> None:
        """Somebody counts the units of a product."""
        at_ms = NOW_MS + int(at_s * 1_000)
        record = orjson.dumps({"product_id": product_id, "units": units, "at": at_ms})
        self.kafka.append("inventory", key or product_id, record, at_ms)

    def pass_time(self, at_s: float) -> None:
        """Somebody looks at something in every partition."""
        seen: set[int] = set()
        for number in range(100):
            user = f"passer-by-{number}"
            p = self.kafka_partition(user)
            if p not in seen:
                seen.add(p)
                self.kafka.send(make_event("view", at_s, "window", user=user))

    def kafka_partition(self, key: str) -> int:
        from contracts.partitioning import partition_of

        return partition_of(key, self.settings.partitions)

    @property
    def alerts(self) -> list[Alert]:
        """Steps of alerts that are to be published, in order."""
        return [decode_alert(entry["value"]) for entry in self.store.outbox("alerts")]

    def state(self) -> dict[tuple[int, str], object]:
        """What the extension has in the store."""
        ours = ("stock", "wishes:", "timers:restock")
        parts = self.store.partitions.items()
        return {
            (p, key): held for p, part in parts for key, held in part.values.items() if key.startswith(ours)
        }

    def quality(self) -> dict[str, int]:
        """Counters of judged predictions, all minutes and partitions together."""
        minutes = [
            {name: int(count) for name, count in part.hash(f"{QUALITY_BUCKETS}{key}").items()}
            for part in self.store.partitions.values()
            for key in part.names(QUALITY_BUCKETS)
            if key.startswith(":minute:")
        ]
        return add_up(minutes)

    def stock(self, product_id: str) -> list[tuple[object, ...]]:
        """What partitions know of a product."""
        values = (part.values.get(f"stock:{product_id}") for part in self.store.partitions.values())
        return [tuple(msgpack.unpackb(value)) for value in values if value is not None]


@pytest.fixture(params=NAMES)
def shop(restock: str, request: pytest.FixtureRequest) -> Shop:
    settings = Settings(partitions=3, scoring=False, extensions=restock, deletion_secret="s")  # noqa: S106
    return Shop(settings, request.param)


async def test_a_visitor_field_is_in_the_blob_beside_the_rest(shop: Shop) -> None:
    for at_s, brand in enumerate(("acme", "bolt", "acme")):
        shop.kafka.send(make_event("view", at_s, user="u1", brand=brand))
    await shop.worker.read()
    blob = shop.store.owner("u1").values["v:u1"]
    assert msgpack.unpackb(blob, strict_map_key=False)[0] == FORMAT_WITH_EXTRA == 4
    visitor = unpack_visitor(blob)
    assert list(visitor.extra["brands"]) == ["bolt", "acme"]
    assert sum(visitor.totals.counts) == 3


async def test_values_of_products_and_visitors_live_on_with_the_next_owner(shop: Shop) -> None:
    shop.count("p1", 10, 0)
    shop.kafka.send(make_event("purchase", 1, "p1", user="u1", quantity=2))
    shop.kafka.send(make_event("favorite", 1, "p2", user="u1"))
    await shop.worker.read()
    shop.start_worker()
    shop.kafka.send(make_event("purchase", 2, "p1", user="u1", quantity=3))
    shop.kafka.send(make_event("favorite", 3, "p3", user="u1"))
    shop.count("p1", 7, 3)
    shop.count("p1", 99, 2)  # older than the one before
    await shop.worker.read()
    assert sum(int(str(fields[2])) for fields in shop.stock("p1")) == 5
    assert [fields[0] for fields in shop.stock("p1") if fields[0] is not None] == [7]
    assert msgpack.unpackb(shop.store.owner("u1").values["wishes:u1"]) == ["p2", "p3"]
    assert shop.store.counter("inventory") == 3


async def test_indexes_and_lists_are_kept_in_bounds(shop: Shop) -> None:
    for number in range(30):
        shop.count("p1", 10 + number, number)
    shop.count("p2", 4, 0)
    for user, units in (("u1", 2), ("u2", 1)):
        shop.kafka.send(make_event("purchase", 1, user=user, quantity=units))
    await shop.worker.read()
    assert shop.store.owner("p1").scores("stock_lowest")["p1"] == 39
    assert shop.store.owner("p2").scores("stock_lowest")["p2"] == 4
    recent = [orjson.loads(line) for line in shop.store.owner("p1").values["stock_recent"]]
    assert len(recent) == 20
    assert ["p1", 39, NOW_MS + 29_000] in recent
    assert shop.store.owner("u1").scores("stock_buyers")["u1"] == 2


async def test_an_alert_fires_by_the_timer_and_is_resolved_by_the_topic(shop: Shop) -> None:
    shop.count("p1", 2, 0)
    await shop.worker.read()
    assert shop.store.owner("p1").scores("timers:restock") == {"p1": NOW_MS + 60_000}
    shop.pass_time(2 * MINUTE_S)  # the watermark trails by a minute
    await shop.worker.read()
    assert shop.alerts == []
    shop.pass_time(2 * MINUTE_S + 1)
    await shop.worker.read()
    (fired,) = shop.alerts
    assert (fired.kind, fired.subject, fired.state) == ("stock_low", product("p1"), "firing")
    assert (fired.fired_ms, fired.detail.units) == (NOW_MS + 60_000, 2)
    assert shop.store.owner("p1").scores("timers:restock") == {}

    shop.start_worker()
    shop.count("p1", 50, 3 * MINUTE_S)
    shop.pass_time(10 * MINUTE_S)
    await shop.worker.read()
    assert [(alert.alert_id, alert.state) for alert in shop.alerts] == [
        (fired.alert_id, "firing"), (fired.alert_id, "resolved"),
    ]  # fmt: skip


async def test_a_timer_that_was_cleared_or_moved_does_not_fire(shop: Shop) -> None:
    shop.count("p1", 2, 0)
    await shop.worker.read()
    shop.count("p1", 50, 30)
    shop.count("p2", 1, 30)
    shop.pass_time(10 * MINUTE_S)
    await shop.worker.read()
    assert [alert.subject for alert in shop.alerts] == [product("p2")]


async def test_a_next_owner_fires_what_the_one_before_set(shop: Shop) -> None:
    shop.count("p1", 2, 0)
    await shop.worker.read()
    shop.start_worker()
    shop.pass_time(10 * MINUTE_S)
    await shop.worker.read()
    await shop.worker.read()
    assert [alert.state for alert in shop.alerts] == ["firing"]


async def test_a_rule_decides_about_visitors(shop: Shop) -> None:
    for at_s, quantity in enumerate((1, 5, 7)):
        shop.kafka.send(make_event("purchase", at_s, user="u1", quantity=quantity))
    await shop.worker.read()
    shop.start_worker()
    shop.kafka.send(make_event("view", 3_600, user="u1"))
    await shop.worker.read()
    bulk = [alert for alert in shop.alerts if alert.kind == "bulk_bought"]
    assert [(alert.user_id, alert.state, tuple(alert.detail)) for alert in bulk] == [
        ("u1", "firing", ("p1", 5)), ("u1", "expired", ("p1", 5)),
    ]  # fmt: skip


async def test_bad_records_of_the_topic_become_dead_letters(shop: Shop) -> None:
    shop.count("p1", -1, 0)
    shop.count("p1", 5, 0, key="p2")
    shop.kafka.append("inventory", "p1", b"{", NOW_MS)
    shop.count("p1", 8, 1)
    await shop.worker.read()
    letters = [decode_dead_letter(entry["value"]) for entry in shop.store.outbox("rejected")]
    assert sorted(letter.code for letter in letters) == [
        "inventory.not_count", "inventory.not_numbers", "key.not_product_id",
    ]  # fmt: skip
    assert (shop.store.counter("rejected"), shop.store.counter("inventory")) == (3, 1)
    assert shop.store.owner("p1").offsets["inventory"] == len(
        shop.kafka.records["inventory", shop.kafka_partition("p1")]
    )


async def test_nothing_of_a_deleted_visitor_stays(shop: Shop) -> None:
    for user in ("visitor-who-leaves", "visitor-who-stays"):
        shop.kafka.send(make_event("view", 0, user=user, brand="acme"))
        shop.kafka.send(make_event("favorite", 1, "p1", user=user))
        shop.kafka.send(make_event("purchase", 2, "p1", user=user))
    await shop.worker.read()
    digest = digest_user("visitor-who-leaves", "s")
    deletion = Deletion("d1", digest, NOW_MS + 5_000, secret_id_of("s"))
    p = shop.kafka_partition("visitor-who-leaves")
    key = next(str(n) for n in range(100) if shop.kafka_partition(str(n)) == p)
    shop.kafka.append("deletions", key, encode_deletion(deletion), deletion.at_ms)
    await shop.worker.read()
    outbox = shop.store.owner("visitor-who-leaves").values.pop(OUTBOX)
    assert [(entry["topic"], entry["value"]) for _, entry in outbox] == [("recommendations", b"")]
    held = repr([part.values for part in shop.store.partitions.values()])
    assert "visitor-who-leaves" not in held
    assert held.count("wishes:visitor-who-stays") == 1
    shop.start_worker()
    shop.kafka.send(make_event("favorite", 60, "p9", user="visitor-who-leaves"))
    await shop.worker.read()
    assert msgpack.unpackb(shop.store.owner("visitor-who-leaves").values["wishes:visitor-who-leaves"]) == [
        "p9"
    ]


async def test_a_store_from_before_is_brought_up_again(shop: Shop) -> None:
    shop.count("p1", 2, 0)
    shop.kafka.send(make_event("purchase", 1, "p1", user="u1", quantity=2))
    await shop.worker.read()
    older = deepcopy(shop.store.partitions)
    shop.count("p2", 1, 30)
    shop.kafka.send(make_event("purchase", 31, "p1", user="u1", quantity=3))
    shop.pass_time(10 * MINUTE_S)
    await shop.worker.read()
    newer, alerts = shop.state(), shop.alerts
    assert len(alerts) == 2
    shop.store.partitions.clear()
    shop.store.partitions.update(older)
    shop.pass_time(11 * MINUTE_S)
    for _ in range(3):  # refused, claimed and read again
        await shop.worker.read()
    assert shop.state() == newer
    assert sorted(shop.alerts) == sorted(alerts)


async def test_a_commit_is_ordered_and_rides_with_its_offsets(shop: Shop) -> None:
    p = shop.kafka_partition("p1")
    shop.count("p1", 2, 0)
    user = next(id_ for id_ in map(str, range(100)) if shop.kafka_partition(id_) == p)
    shop.kafka.send(make_event("purchase", 1, "p1", user=user))
    await shop.worker.read()
    of_partition = [commit for commit in shop.store.applied if commit.writes and commit.partition == p]
    first, second = of_partition[:2]
    topics = [{topic for topic, (start, end) in c.offsets.items() if start != end} for c in (first, second)]
    assert topics[0] == {"inventory"}, "a component's own topic comes before events"
    assert "purchase" in {topic for commit in shop.store.applied for topic in commit.offsets}

    def place(commit_writes: list[Write], kind: type[Write]) -> int:
        return max(at for at, write in enumerate(commit_writes) if isinstance(write, kind))

    shop.pass_time(10 * MINUTE_S)
    await shop.worker.read()
    fired = next(c for c in shop.store.applied if any(isinstance(w, AppendToStream) for w in c.writes))
    assert place(list(fired.writes), AppendToStream) > place(list(fired.writes), PutBlobs)
    assert json.dumps(sorted(fired.offsets)) == json.dumps(sorted(second.offsets)), "all topics are checked"


async def test_a_model_is_asked_and_its_answer_judged_by_the_next_owner(shop: Shop) -> None:
    await shop.worker.look_for_models()
    (report,) = shop.worker.slots.reports()
    assert (report.slot, report.state) == ("next_purchase", "ok")
    for user in ("u1", "u2"):
        shop.kafka.send(make_event("cart", 0, user=user))
    await shop.worker.read()
    kept = unpack_visitor(shop.store.owner("u1").values["v:u1"]).extra["next_purchase"]
    assert list(kept) == [report.model, 378]
    shop.start_worker()  # without a model yet
    shop.kafka.send(make_event("purchase", 30, user="u1"))
    shop.kafka.send(make_event("view", 31, user="u2"))
    await shop.worker.read()
    assert not unpack_visitor(shop.store.owner("u1").values["v:u1"]).extra.get("next_purchase")
    counts = by_version(by_slot(shop.quality()).get("next_purchase", {}))[report.model]
    figures = slot_figures(counts)
    assert (figures.n, figures.accuracy) == (2, 0.5)
    assert figures.mean_loss == pytest.approx(-(math.log(0.378) + math.log(0.622)) / 2, abs=1e-6)
