"""A shop on the memory store whose outboxes are relayed into its log, for the tests of identity."""

import asyncio
from itertools import count
from typing import Any

import orjson

from contracts.customers import Customer, unpack_customer
from contracts.events import Event, Statement, encode
from contracts.logins import Login, login_of
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from contracts.visitor import Visitor, unpack_visitor
from memory_worker import MemoryLog, MemoryWorker, WatchedStore
from shoppers import NOW_MS, make_event
from stream.batch.core import PYTHON, Core
from stream.registry import product_registry

SETTINGS = Settings(_env_file=None, partitions=5, scoring=False, deletion_secret="s" * 32)


class IdentityShop:
    """Every worker that is made applies what the log has; `run` goes on until nothing is left to relay."""

    def __init__(self, core: Core = PYTHON) -> None:
        self.kafka = MemoryLog(SETTINGS.partitions)
        self.core = core
        self.store = WatchedStore(SETTINGS)
        self.published: dict[str, tuple[str, bytes, bytes]] = {}
        self.alerts: list[dict[str, Any]] = []
        self.n_sent = 0

    def send(
        self, kind: str, at_s: float, product: str = "p1", *, key: str | None = None, **ids: Any
    ) -> Event:
        """Send an event of a `device` and its `customer`, under another key if one is named."""
        device, customer = ids.pop("device", None), ids.pop("customer", None)
        self.n_sent += 1
        ids.setdefault("event_id", f"e{self.n_sent}")
        visitor = device if device is not None else customer
        if device is None:
            customer = None
        elif customer is None:
            customer = ""
        if kind == "identify":
            event = make_event("view", at_s, "", user=visitor, customer_id=customer, **ids)
            event = event._replace(event_type=Statement.IDENTIFY, price_minor=None, currency=None)
        else:
            event = make_event(kind, at_s, product, user=visitor, customer_id=customer, **ids)
        self.put(event, key)
        return event

    def put(self, event: Event, key: str | None = None) -> None:
        """Write an event into the log."""
        topic = Topics().of(event.event_type)
        self.kafka.append(topic, key or event.user_id, encode(event), event.event_time_ms)

    def pass_time(self, at_s: float) -> None:
        """Let event time go on in every partition, by views of somebody else."""
        for p in range(SETTINGS.partitions):
            other = next(f"other{n}" for n in count() if partition_of(f"other{n}", SETTINGS.partitions) == p)
            self.send("view", at_s, device=other)
        self.run()

    def run(self) -> None:
        """Apply and relay until nothing is left."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        for _ in range(20):
            registry = product_registry(SETTINGS, self.core)
            worker = MemoryWorker(SETTINGS, registry, self.kafka, self.store, self.core)
            await worker.read()
            if not self._relay():
                return
        raise AssertionError("records are relayed for ever")

    def _relay(self) -> int:
        fresh = 0
        for part in self.store.partitions.values():
            for _, entry in part.stream("outbox"):
                fields: dict[str, Any] = dict(entry)
                if fields["id"] in self.published:
                    continue
                key = fields["key"] if isinstance(fields["key"], bytes) else str(fields["key"]).encode()
                self.published[fields["id"]] = (fields["topic"], key, fields["value"])
                if fields["topic"] == "alerts":
                    self.alerts.append(orjson.loads(fields["value"]))
                elif fields["topic"] in Topics().partitioned:
                    self.kafka.append(fields["topic"], key.decode(), fields["value"], self.newest_ms())
                    fresh += 1
        return fresh

    def newest_ms(self) -> int:
        """The newest timestamp of the log."""
        return max(
            [record.timestamp for log in self.kafka.records.values() for record in log], default=NOW_MS
        )

    def visitor(self, visitor_id: str) -> Visitor | None:
        """The state of a visitor."""
        blob = self._blob(visitor_id, f"v:{visitor_id}")
        return None if blob is None else unpack_visitor(blob)

    def login(self, visitor_id: str) -> Login:
        """Who is logged in on a device."""
        return login_of(self.visitor(visitor_id))

    def customer(self, customer_id: str) -> Customer | None:
        """The record of a customer."""
        blob = self._blob(customer_id, f"customer:{customer_id}")
        return None if blob is None else unpack_customer(blob)

    def _blob(self, owner: str, key: str) -> bytes | None:
        p = partition_of(owner, SETTINGS.partitions)
        found = asyncio.run(self.store.read_blobs({p: [key]}))[p][0]
        assert found is None or isinstance(found, bytes)
        return found

    def shop_total(self, metric: str) -> int:
        """A counter of the shop, of all hours and partitions."""
        total = 0
        for part in self.store.partitions.values():
            names = [f"s:hour:{start}" for start in part.names("s:hour:")]
            total += sum(int(part.hash(name).get(metric, 0)) for name in names)
        return total
