"""A subscriber of the alerts: when a consumer of the Kafka topic has each of them."""

import threading
import time
from typing import NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from contracts.alerts import Alert, InvalidAlert, decode_alert
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from contracts.topics import Topics

POLL_S = 0.1
QUERY_TIMEOUT_S = 10.0


class Sighting(NamedTuple):
    """An alert's broker timestamp, and when a consumer had it (wall clock, ms)."""

    alert: Alert
    stored_ms: int
    seen_ms: int


class AlertReader(threading.Thread):
    """Reads every partition of the topic from its beginning, as soon as the broker has something."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="alert-reader", daemon=True)
        topic = Topics(settings.topic_prefix).alerts
        self._places = [
            TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(settings.partitions)
        ]
        self._settings = settings
        self._consumer = _open_consumer(settings)
        self._ended = threading.Event()
        self._next = dict.fromkeys(range(settings.partitions), 0)
        self._sightings: list[Sighting] = []
        self._error: Exception | None = None

    def run(self) -> None:
        """Poll until `stop`; a message is dated by the return of the poll that brought it."""
        try:
            self._consumer.assign(self._places)
            while not self._ended.is_set():
                message = self._consumer.poll(POLL_S)
                if message is None:
                    continue
                seen_ms = wall_clock_ms()
                if message.error() is not None:  # librdkafka goes on by itself; `finish` waits for it
                    continue
                sighting = Sighting(decode_alert(message.value()), message.timestamp()[1], seen_ms)
                self._sightings.append(sighting)
                self._next[message.partition()] = message.offset() + 1
        except InvalidAlert as exc:
            self._error = exc

    def finish(self, timeout_s: float) -> list[Sighting]:
        """Everything that lies in the topic now; raises `RuntimeError` if it cannot be read in time."""
        deadline = time.monotonic() + timeout_s
        ends = self._find_ends(deadline)
        while any(self._next[number] < end for number, end in ends.items()):
            if self._error is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the alerts could not be read to their end: {self._error or 'too slow'}")
            time.sleep(POLL_S)
        self.stop()
        return self._sightings

    def _find_ends(self, deadline_s: float) -> dict[int, int]:
        """The offset after the last alert of each partition."""
        # On a connection of its own: on the reader's the answers would wait behind its long fetches.
        client = _open_consumer(self._settings)
        try:
            return {place.partition: _find_end(client, place, deadline_s) for place in self._places}
        finally:
            client.close()

    def stop(self) -> None:
        """Stop reading; may be called again, and before `start`."""
        if not self._ended.is_set():
            self._ended.set()
            if self.ident is not None:
                self.join()
            self._consumer.close()


def _open_consumer(settings: Settings) -> Consumer:
    """A consumer to be assigned by hand: it never joins a group, though librdkafka wants the name of one."""
    return Consumer(
        {
            "bootstrap.servers": settings.bootstrap,
            "group.id": f"{settings.group}-alerts",
            "enable.auto.commit": False,
        }
    )


def _find_end(client: Consumer, place: TopicPartition, deadline_s: float) -> int:
    while True:
        try:
            _, end = client.get_watermark_offsets(place, timeout=QUERY_TIMEOUT_S)
        except KafkaException as exc:  # a topic that was made just now may have no leader yet
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"the end of the alerts could not be found: {exc}") from exc
            time.sleep(POLL_S)
        else:
            return int(end)
