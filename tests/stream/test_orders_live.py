"""Thousands of orders by Segment, GA4, snippet and Kafka come to what they are, under kills of the worker."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import orjson
from confluent_kafka import Producer
from redis import Redis

from api_processes import ApiProgram
from contracts.clock import wall_clock_ms
from contracts.keys import Keys, Metric
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import REFUNDED, unpack_visitor
from ops.audit import read_state
from order_tellers import OrderTellers, Told
from running_worker import running_worker
from services import wait_until

ORDERS = 3_000
CALLS = 50
"""Calls of a body of Segment, and events of one of the snippet."""


class Senders:
    """Sends what is told, each by its way."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._topic = Topics(settings.topic_prefix).of
        options = {"bootstrap.servers": settings.bootstrap, "partitioner": "murmur2_random"}
        self._producer = Producer(options)
        self._purchases = Topics(settings.topic_prefix).prefix + "purchase"
        self._waiting: dict[str, list[Any]] = {"segment": [], "snippet": []}

    def send(self, told: Told) -> None:
        """Send it, or keep it for a body of many."""
        if told.way == "kafka":
            key = told.body["user_id"].encode()
            self._producer.produce(self._purchases, orjson.dumps(told.body), key)
            self._producer.poll(0)
        elif told.way == "ga4":
            assert self._client.post("/mp/collect", json=told.body).status_code == 204
        else:
            self._waiting[told.way].append(told.body)
            if len(self._waiting[told.way]) == CALLS:
                self._flush(told.way)

    def close(self) -> None:
        """Send what waits."""
        for way in self._waiting:
            self._flush(way)
        assert self._producer.flush(30) == 0
        self._client.close()

    def _flush(self, way: str) -> None:
        batch, self._waiting[way] = self._waiting[way], []
        if batch:
            path = "/v1/batch" if way == "segment" else "/v1/events"
            answer = self._client.post(path, json={"batch": batch})
            assert answer.json()["errors"] == []


def sums_of(client: Redis, keys: Keys) -> dict[str, Counter[str]]:
    """What the shop's day buckets come to, by metric; money by currency."""
    sums: dict[str, Counter[str]] = {name: Counter() for name in (Metric.REVENUE, Metric.REFUNDED, "")}
    for (of, grain, _, name), number in read_state(client, keys).buckets.items():
        if of == "shop" and grain == "day":
            start = name[:2] if name[:2] in sums else ""
            sums[start][name.removeprefix(start)] += number
    return sums


def test_gross_and_net_are_those_of_the_orders_to_the_cent(make_installation: Any, tmp_path: Path) -> None:
    settings = make_installation(partitions=6, scoring=False)
    client, keys = Redis.from_url(settings.redis_url), Keys(settings.namespace, settings.partitions)
    tellers = OrderTellers(7, wall_clock_ms())
    told = [each for number in range(ORDERS) for each in tellers.make(number)]
    random.Random(8).shuffle(told)
    with running_worker(settings, tmp_path) as worker, ApiProgram(settings, tmp_path) as api:
        senders = Senders(settings, api.url)
        for number, each in enumerate(told, 1):
            senders.send(each)
            if number in (len(told) // 3, 2 * len(told) // 3):
                worker.kill()  # -9, amid its commits
                worker.start()
        senders.close()
        expected = {Metric.REVENUE: tellers.gross, Metric.REFUNDED: tellers.refunded}

        def has_come_to_it() -> bool:
            sums = sums_of(client, keys)
            return all(+sums[name] == +wanted for name, wanted in expected.items())

        try:
            wait_until(has_come_to_it, 90, f"the sums; {worker.log_tail()}")
        except AssertionError:
            found = sums_of(client, keys)
            assert {name: +found[name] for name in expected} == expected, worker.log_tail()
            raise
        sums = sums_of(client, keys)
        assert sums[""][Metric.ORDERS] == ORDERS
        live = httpx.get(f"{api.url}/v1/live").json()["today"]
    gross, refunded, net = (
        Counter({money["currency"]: money["amount_minor"] for money in live[name]})
        for name in ("revenue", "refunded", "net_revenue")
    )
    assert net == gross - refunded
    for visitor, paid in tellers.paid_by.items():
        blob = client.get(keys.visitor(visitor))
        assert isinstance(blob, bytes)
        state = unpack_visitor(blob)
        assert Counter(state.totals.revenue_minor) == +paid, visitor
        assert Counter(state.extra.get(REFUNDED, {})) <= paid
    client.close()
