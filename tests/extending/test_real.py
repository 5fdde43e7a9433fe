"""The example extension on real Kafka and Redis, through a kill -9, a rewind of Redis and a deletion."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgpack
import orjson
import pytest

from contracts.alerts import decode_alert
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.snapshots import decode_snapshot
from contracts.topics import Topics
from contracts.visitor import unpack_visitor
from ops.audit.kafka_log import published_alerts
from ops.audit.recorded_alerts import read_log
from ops.audit.state import has_settled, read_state
from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from ops.privacy.commands import run_check
from ops.stack.child import Child
from ops.stack.ports import pick_port
from ops.stack.record import settings_environment
from plain_http import NO_TLS
from services import uninstall, unique_settings, wait_until
from stub_model import write_model

GONE = "visitor-who-leaves"
VISITORS = [GONE, *[f"visitor-{number}-stays" for number in range(40)]]
PRODUCTS = [f"product-{number}" for number in range(12)]
BRANDS = ("acme", "bolt", "cube", "dune")
KINDS = [EventType.VIEW] * 4 + [EventType.CART] * 2 + [EventType.FAVORITE] * 2 + [EventType.PURCHASE] * 2
LOW_UNITS, PATIENCE_MS = 3, 60_000


@dataclass
class Sent:
    """All that was sent, counted without any of the product's code."""

    records: Counter[str] = field(default_factory=Counter)
    sold: Counter[str] = field(default_factory=Counter)
    brands: dict[str, set[str]] = field(default_factory=dict)
    wishes: dict[str, set[str]] = field(default_factory=dict)
    counts: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Units and times of the counts of each product, in their order."""

    def take(self, event: Event) -> None:
        """Count an event."""
        self.records["event"] += 1
        if event.brand:
            self.brands.setdefault(event.user_id, set()).add(event.brand)
        if event.event_type is EventType.PURCHASE:
            self.sold[event.product_id] += event.quantity
        if event.event_type is EventType.FAVORITE:
            self.wishes.setdefault(event.user_id, set()).add(event.product_id)

    def alerts(self) -> Counter[tuple[str, str]]:
        """How often each product's alert must have fired and been resolved."""
        steps: Counter[tuple[str, str]] = Counter()
        for product_id, counts in self.counts.items():
            is_low = False
            for units, _ in counts:
                if units > LOW_UNITS and is_low:
                    steps[product_id, "resolved"] += 1
                if units <= LOW_UNITS and not is_low:
                    steps[product_id, "firing"] += 1
                is_low = units <= LOW_UNITS
        return steps


class RestockShop:
    """A system with the extension and an API, and what was sent to it."""

    def __init__(self, system: SystemUnderTest, api: Child) -> None:
        self.system = system
        self.sent = Sent()
        self.api = api
        self.url = f"http://127.0.0.1:{system.settings.api_port}"
        self._topics = Topics(system.settings.topic_prefix)
        self._producer = make_producer(system.settings)
        self._draw = random.Random(5)

    def shop(self, n_events: int) -> None:
        """Visitors look at things, like and buy some of them, now."""
        for _ in range(n_events):
            user, product_id = self._draw.choice(VISITORS), self._draw.choice(PRODUCTS)
            kind = self._draw.choice(KINDS)
            event = Event(
                f"e{self.sent.records['event']}", kind, wall_clock_ms(), user, product_id, price_minor=100,
                currency="EUR", quantity=self._draw.randint(1, 3) if kind is EventType.PURCHASE else 1,
                brand=self._draw.choice(BRANDS),
            )  # fmt: skip
            self.sent.take(event)
            self._producer.produce(self._topics.of(kind), encode(event), user.encode())
        assert self._producer.flush(30) == 0

    def count(self, product_id: str, units: int, at_ms: int) -> None:
        """Somebody counts the units of a product at a time."""
        self.sent.records["inventory"] += 1
        self.sent.counts.setdefault(product_id, []).append((units, at_ms))
        self._inventory(product_id, orjson.dumps({"product_id": product_id, "units": units, "at": at_ms}))

    def spoil(self) -> None:
        """Somebody sends something else into the topic."""
        self.sent.records["rejected"] += 1
        self._inventory("product-x", b"{")

    def _inventory(self, key: str, record: bytes) -> None:
        self._producer.produce(f"{self.system.settings.topic_prefix}inventory", record, key.encode())
        assert self._producer.flush(30) == 0

    def await_applied(self) -> None:
        """Until the worker has applied all that was sent."""

        def is_all() -> bool:
            metas = self.system.metas()
            names = {"event": "applied", "inventory": "inventory", "rejected": "rejected"}
            return all(sum(m.get(names[n], 0) for m in metas) == k for n, k in self.sent.records.items())

        self.system.await_that(is_all, 90, f"all of {self.sent.records} to be applied")

    def steps(self) -> Counter[tuple[str, str]]:
        """Steps of the extension's alerts in the log that readers follow."""
        alerts = [decode_alert(value) for _, value in read_log(self.system.client, self.system.keys)]
        return Counter((a.subject.id, a.state.value) for a in alerts if a.kind == "stock_low")

    def await_steps(self) -> None:
        """Until the alerts are those that the counts lead to."""
        self.system.await_that(lambda: self.steps() == self.sent.alerts(), 90, f"{self.sent.alerts()}")

    def get(self, path: str, **query: str) -> Any:
        """An answer of the API."""
        answer = httpx.get(self.url + path, params=query, timeout=10, verify=NO_TLS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def found(self, start: str) -> dict[str, list[bytes]]:
        """What follows `start` in keys of partitions, to their values."""
        keys, values = self.system.keys, dict[str, list[bytes]]()
        for p in range(keys.partitions):
            prefix = keys.prefix(p) + start
            for key in self.system.client.scan_iter(match=f"{prefix}*", count=1_000):
                blob = self.system.client.get(key)
                assert isinstance(blob, bytes)
                values.setdefault(key.decode().removeprefix(prefix), []).append(blob)
        return values


@pytest.fixture
def shop(
    restock: str, kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RestockShop]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    write_model(tmp_path / "model")
    settings = unique_settings(
        kafka_bootstrap, "redis://set.by.system/0",
        **{**SETTINGS, "extensions": restock, "model_dir": str(tmp_path / "model"), "api_port": pick_port()},
    )  # fmt: skip
    with open_system(settings, tmp_path, workers=1) as system:
        argv = [sys.executable, "-P", "-m", "ops.cli", "api"]
        api = Child("api", argv, tmp_path / "api.log", env=settings_environment(system.settings))
        api.start()
        try:
            made = RestockShop(system, api)
            api.await_ready(lambda: _answers(f"{made.url}/readyz"), 60)
            yield made
        finally:
            api.kill()
            uninstall(system.settings)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, verify=NO_TLS).status_code == 200
    except httpx.TransportError:
        return False


def test_an_extension_is_as_exact_as_the_product(shop: RestockShop) -> None:
    system, sent = shop.system, shop.sent
    began_ms = wall_clock_ms() - PATIENCE_MS
    shop.shop(600)
    for number, product_id in enumerate(PRODUCTS):
        shop.count(product_id, 2 if number % 2 else 40, began_ms + number)
    shop.spoil()
    shop.await_applied()

    (worker,) = system.supervisor.workers
    shop.shop(600)
    worker.kill()
    shop.count(PRODUCTS[0], 1, began_ms + 1_000)
    shop.shop(600)
    shop.await_applied()
    shop.await_steps()
    assert [code for _, code in system.supervisor.exits] == [-9]

    system.redis.copy_data(tmp := system.folder / "copy")
    shop.shop(600)
    shop.count(PRODUCTS[1], 30, wall_clock_ms())
    shop.count(PRODUCTS[2], 0, began_ms + 2_000)
    shop.await_applied()
    shop.await_steps()
    system.redis.kill()
    system.redis.restore_data(tmp)
    system.redis.restart()
    shop.await_applied()
    shop.await_steps()

    _delete(shop, GONE)
    assert run_check(system.settings, GONE) == 0, "nothing of the visitor is left in Redis"
    _assert_exact(shop)
    _assert_served(shop)
    ends = {(name, p): 0 for name in Topics(system.settings.topic_prefix).events for p in range(6)}
    has_settled(system.client, system.keys, ends, disorder_ms=0, live=True)
    audited = read_state(system.client, system.keys)
    assert audited.counters["applied"] == sent.records["event"], "the audit reads past what it does not know"


def _delete(shop: RestockShop, user_id: str) -> None:
    asked = httpx.post(f"{shop.url}/v1/privacy/deletions", json={"user_id": user_id}, timeout=10)
    assert asked.status_code == 202, asked.text
    path = f"{shop.url}/v1/privacy/deletions/{asked.json()['deletion_id']}"
    wait_until(
        lambda: httpx.get(path, timeout=10, verify=NO_TLS).json()["status"] == "done", 60, "the deletion"
    )


def _assert_exact(shop: RestockShop) -> None:
    sent = shop.sent
    visitors = {user: unpack_visitor(blob) for user, (blob,) in shop.found("v:").items()}
    assert {user: set(visitor.extra["brands"]) for user, visitor in visitors.items()} == {
        user: brands for user, brands in sent.brands.items() if user != GONE
    }
    assert {user: set(msgpack.unpackb(blob)) for user, (blob,) in shop.found("wishes:").items()} == {
        user: wishes for user, wishes in sent.wishes.items() if user != GONE
    }
    stock = {id_: [msgpack.unpackb(blob) for blob in blobs] for id_, blobs in shop.found("stock:").items()}
    assert {id_: sum(part[2] for part in parts) for id_, parts in stock.items()} == dict(sent.sold)
    newest = {id_: max(counts, key=lambda count: count[1])[0] for id_, counts in sent.counts.items()}
    assert {id_: [p[0] for p in parts if p[0] is not None] for id_, parts in stock.items()} == {
        id_: [units] for id_, units in newest.items()
    }
    assert shop.steps() == sent.alerts()
    told = {record_id for record_id, value in published_alerts(shop.system.settings) if b"stock_low" in value}
    assert len(told) == sent.alerts().total(), "a copy made twice has the same id"


def _assert_served(shop: RestockShop) -> None:
    sent, keys, client = shop.sent, shop.system.keys, shop.system.client

    def is_made() -> bool:
        blobs = {id_: client.get(keys.snapshot("stock_cover", id_)) for id_ in PRODUCTS}
        values = {id_: decode_snapshot(blob).value for id_, blob in blobs.items() if isinstance(blob, bytes)}
        return {id_: value["sold"] for id_, value in values.items()} == dict(sent.sold)

    wait_until(is_made, 60, "snapshots of all products")
    for product_id in PRODUCTS:
        answer = shop.get(f"/v1/stock/{product_id}")
        units = max(sent.counts[product_id], key=lambda count: count[1])[0]
        assert (answer["units"], answer["sold"]) == (units, sent.sold[product_id])
    assert httpx.get(f"{shop.url}/v1/stock/nobody", timeout=10).status_code == 404
    listed = shop.get("/v1/alerts", kind="stock_low", limit="100")["alerts"]
    assert {alert["subject"]["id"] for alert in listed} <= set(PRODUCTS)
    assert listed
    (second,) = [slot for slot in shop.get("/v1/models")["slots"] if slot["slot"] == "next_purchase"]
    assert second["workers"][0]["state"] == "ok"
    (version,) = second["models"]
    assert version["windows"]["24h"]["n"] > 0
    document = shop.get("/openapi.json")
    assert document["paths"]["/v1/stock/{product_id}"]["get"]["responses"]["200"]
    assert {"ProductStock", "SubjectAlert"} <= document["components"]["schemas"].keys()
    assert "stock_low" in document["components"]["schemas"]["AlertKind"]["enum"]
