"""Sends what is told of orders: calls of Segment, bodies of GA4, events of the snippet, records."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import orjson
from confluent_kafka import Producer

from contracts.events import EventType
from contracts.settings import Settings
from contracts.topics import Topics
from order_tellers import Told

CALLS = 50
"""Calls of a body of Segment, and events of one of the snippet."""
CONNECTIONS = 4
MOST_WAITING = 1_000
"""Requests that may wait for a connection."""


class OrderSenders:
    """Sends each by its way, over a few connections at once."""

    def __init__(self, settings: Settings, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60)
        self._pool = ThreadPoolExecutor(CONNECTIONS)
        self._asked: list[Future[None]] = []
        self._producer = Producer({"bootstrap.servers": settings.bootstrap, "partitioner": "murmur2_random"})
        self._purchases = Topics(settings.topic_prefix).of(EventType.PURCHASE)
        self._waiting: dict[str, list[Any]] = {"segment": [], "snippet": []}

    def send(self, told: Told) -> None:
        """Send it, or keep it for a body of many; fails if an earlier one was refused."""
        if told.way == "kafka":
            self._producer.produce(self._purchases, orjson.dumps(told.body), told.body["user_id"].encode())
            self._producer.poll(0)
        elif told.way == "ga4":
            self._ask(self._collect, told.body)
        else:
            self._waiting[told.way].append(told.body)
            if len(self._waiting[told.way]) == CALLS:
                self._flush(told.way)

    def await_answers(self) -> None:
        """Wait until everything that was asked is answered."""
        asked, self._asked = self._asked, []
        for each in asked:
            each.result()

    def close(self) -> None:
        """Send what waits."""
        for way in self._waiting:
            self._flush(way)
        self.await_answers()
        assert self._producer.flush(60) == 0
        self._pool.shutdown()
        self._client.close()

    def _ask(self, request: Any, body: Any) -> None:
        if len(self._asked) >= MOST_WAITING:
            self.await_answers()
        self._asked.append(self._pool.submit(request, body))

    def _collect(self, body: dict[str, Any]) -> None:
        answer = self._client.post("/mp/collect", json=body)
        assert answer.status_code == 204, answer.text

    def _flush(self, way: str) -> None:
        batch, self._waiting[way] = self._waiting[way], []
        path = "/v1/batch" if way == "segment" else "/v1/events"

        def post(body: dict[str, Any]) -> None:
            answer = self._client.post(path, json=body)
            assert answer.json()["errors"] == [], answer.text

        if batch:
            self._ask(post, {"batch": batch})
