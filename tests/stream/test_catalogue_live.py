"""Products on real Kafka and Redis, through a kill -9 and a rewind of Redis: each fact is the newest word."""

import random
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from contracts.clock import wall_clock_ms
from contracts.partitioning import partition_of
from contracts.product_records import ProductUpdate, encode_product
from contracts.products import Product, unpack_product
from contracts.topics import Topics
from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import make_producer
from services import uninstall, unique_settings

pytestmark = pytest.mark.slow

CATEGORIES = ("Shirts", "Shoes", "Hats")


class Shop:
    """What was told, counted without any of the product's code."""

    def __init__(self, system: SystemUnderTest) -> None:
        self.system = system
        self.n_sent = 0
        self.told: dict[str, dict[str, tuple[int, Any]]] = {}
        self.removed: dict[str, int] = {}
        self._producer: Producer = make_producer(system.settings)
        self._topic = Topics(system.settings.topic_prefix).products
        self._draw = random.Random(3)
        self._start_ms = wall_clock_ms() - 3_600_000

    def tell(self, number: int) -> None:
        """So many records, in another order than that of what they say."""
        updates = [self._make(self._start_ms + self.n_sent + place) for place in range(number)]
        self._draw.shuffle(updates)
        for update in updates:
            self._producer.produce(self._topic, encode_product(update), update.product_id.encode())
        assert self._producer.flush(30) == 0
        self.n_sent += number

    def _make(self, at_ms: int) -> ProductUpdate:
        product_id = f"product-{self._draw.randrange(60)}"
        if self._draw.random() < 0.1:
            self.removed[product_id] = at_ms
            return ProductUpdate(product_id, at_ms, removes=True)
        facts: dict[str, Any] = {"stock": self._draw.randrange(100)}
        if self._draw.random() < 0.5:
            facts["categories"] = tuple(self._draw.sample(CATEGORIES, self._draw.randrange(3)))
        for name, value in facts.items():
            self.told.setdefault(product_id, {})[name] = (at_ms, value)
        return ProductUpdate(product_id, at_ms, facts)

    def expected(self) -> dict[str, Product]:
        """The newest word of each fact that is newer than the newest removal."""
        found = {}
        for product_id, told in self.told.items():
            since_ms = self.removed.get(product_id, 0)
            facts = {name: value for name, (at_ms, value) in told.items() if at_ms > since_ms}
            if facts:
                found[product_id] = Product(**facts)
        return found

    def await_applied(self) -> None:
        """Until the worker has applied all that was sent."""
        self.system.await_that(
            lambda: sum(meta.get("products", 0) for meta in self.system.metas()) == self.n_sent,
            90,
            f"{self.n_sent} records to be applied",
        )

    def found(self) -> dict[str, Product]:
        """Products as they are stored, each in its own partition."""
        client, keys = self.system.client, self.system.keys
        found = {}
        for p in range(keys.partitions):
            prefix = f"{keys.prefix(p)}product:"
            for key in client.scan_iter(match=f"{prefix}*", count=1_000):
                product_id = key.decode().removeprefix(prefix)
                assert partition_of(product_id, keys.partitions) == p
                blob: Any = client.get(key)
                found[product_id] = unpack_product(blob).facts
        return found

    def indexed(self, name: str) -> set[str]:
        """The members of a sorted set of all partitions."""
        client, keys = self.system.client, self.system.keys
        pages: list[Any] = [client.zrange(keys.prefix(p) + name, 0, -1) for p in range(keys.partitions)]
        return {member.decode() for page in pages for member in page}


def test_facts_and_indexes_are_exact(kafka_bootstrap: str, tmp_path: Path) -> None:
    settings = unique_settings(kafka_bootstrap, "redis://set.by.system/0", **{**SETTINGS, "scoring": False})
    with open_system(settings, tmp_path, workers=1) as system:
        try:
            shop = Shop(system)
            shop.tell(400)
            shop.await_applied()
            (worker,) = system.supervisor.workers
            shop.tell(400)
            worker.kill()
            shop.tell(400)
            shop.await_applied()
            system.redis.copy_data(copy := tmp_path / "copy")
            shop.tell(400)
            shop.await_applied()
            system.redis.kill()
            system.redis.restore_data(copy)
            system.redis.restart()
            shop.await_applied()
            assert [code for _, code in system.supervisor.exits] == [-9]
            assert shop.found() == shop.expected()
            assert shop.indexed("catalogue_ids") == shop.indexed("catalogue_changed") == set(shop.expected())
            for category in CATEGORIES:
                wanted = {
                    id_ for id_, facts in shop.expected().items() if category in (facts.categories or ())
                }
                assert shop.indexed(f"category_products:{category}") == wanted
        finally:
            uninstall(system.settings)
