"""Paced traffic from a thread: idempotent sends that outlive the broker, all of them in the send log."""

import random
import threading
import time
from collections import deque
from dataclasses import dataclass

from confluent_kafka import KafkaError, Message, Producer

from connections.kafka import librdkafka_arguments
from contracts.clock import wall_clock_ms
from contracts.events import Event, encode
from contracts.settings import Settings
from contracts.topics import Topics
from ops.audit.kafka_log import BROKEN_HEADER
from ops.chaos.send_log import SendLog
from ops.chaos.shoppers import Shoppers, broken_record

DELIVERY_TIMEOUT_S = 120
SPREAD_MS = 300
_TICK_S = 0.02
_REPEAT_AFTER = 500
"""Events between the first and the second send of a repeated one."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much of what: events per second, and the shares sent twice or made to be refused."""

    events_per_s: float = 4_000.0
    repeated: float = 0.02
    broken: float = 0.01


class Traffic(threading.Thread):
    """Sends until `finish`; with `n_events` it stops there by itself."""

    def __init__(self, settings: Settings, load: Load, *, seed: int, n_events: int | None = None) -> None:
        super().__init__(name="traffic", daemon=True)
        self.send_log = SendLog()
        self.sent = 0
        """Records given to the producer: events, repeats and broken ones."""
        self.broken = 0
        self.failed: list[str] = []
        self._load = load
        self._n_events = n_events
        self._settings = settings
        self._topics = Topics(settings.topic_prefix)
        self._shoppers = Shoppers(seed)
        self._draw = random.Random(seed + 1)
        self._repeats: deque[tuple[int, Event]] = deque()
        self._events = 0
        self._stopping = threading.Event()
        self._producer = make_producer(settings)

    def run(self) -> None:
        """Send what is due, a tick at a time; a tick that comes late catches up at most a second."""
        due, before = 0.0, time.monotonic()
        while not self._stopping.is_set() and (self._n_events is None or self._events < self._n_events):
            now = time.monotonic()
            due += min(1.0, now - before) * self._load.events_per_s
            before = now
            while due >= 1.0:
                due -= 1.0
                self._send_next()
            self._producer.poll(0)
            self._stopping.wait(_TICK_S)

    def finish(self) -> None:
        """Stop, send the repeats that wait, and wait until the broker has everything."""
        self._stopping.set()
        self.join()
        while self._repeats:
            self._send(self._repeats.popleft()[1])
        left = self._producer.flush(DELIVERY_TIMEOUT_S)
        if left or self.failed:
            raise RuntimeError(f"{left} records unsent, {len(self.failed)} failed: {self.failed[:3]}")

    def halt(self) -> None:
        """Stop and forget what is not sent yet."""
        self._stopping.set()
        if self.ident is not None:
            self.join()
        self._producer.purge()
        self._producer.flush(1)

    def _send_next(self) -> None:
        self._events += 1
        event = self._shoppers.next_event(wall_clock_ms(), spread_ms=SPREAD_MS)
        self._send(event)
        if self._draw.random() < self._load.repeated:
            self._repeats.append((self._events + _REPEAT_AFTER, event))
        while self._repeats and self._repeats[0][0] <= self._events:
            self._send(self._repeats.popleft()[1])
        if self._draw.random() < self._load.broken:
            key, value = broken_record(self.broken, event.user_id.encode(), encode(event))
            self.broken += 1
            self._produce(self._topics.of(event.event_type), key, value, broken=True)

    def _send(self, event: Event) -> None:
        self.send_log.add(event)
        self._produce(self._topics.of(event.event_type), event.user_id.encode(), encode(event))

    def _produce(self, topic: str, key: bytes | None, value: bytes | None, *, broken: bool = False) -> None:
        headers = [(BROKEN_HEADER, b"1")] if broken else None
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=self._delivered)
                break
            except BufferError:  # the broker is away and the queue is full
                self._producer.poll(0.1)
        self.sent += 1

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self.failed.append(str(error))


def make_producer(settings: Settings) -> Producer:
    """An idempotent producer that goes on trying for `DELIVERY_TIMEOUT_S`."""
    return Producer(
        {
            **librdkafka_arguments(settings),
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "message.timeout.ms": DELIVERY_TIMEOUT_S * 1_000,
            "reconnect.backoff.max.ms": 500,
        }
    )
