"""What clients of Kafka say while it is away: one line a minute, with how many were left out."""

import asyncio
import io
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from contracts.settings import Settings
from ops.logs.outages import EVERY_S, MOST_KINDS, OutageLines
from ops.logs.setup import configure_logging


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def say(clock: Clock) -> Callable[..., str | None]:
    """Says something as a logger would; the line that is written, if it is."""
    lines = OutageLines(clock)

    def say(name: str, message: str, *args: object) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, None)
        return record.getMessage() if lines.filter(record) else None

    return say


AWAY = [
    ("aiokafka", 'Unable connect to "%s:%s": %s', "kafka", 9092, "[Errno 111] Connect call failed"),
    ("aiokafka", "Unable connect to node with id %s: %s", 1, "[Errno 111]"),
    ("aiokafka.cluster", "Unable to update metadata from %s", [1]),
    ("aiokafka.consumer.fetcher", "Failed fetch messages from %s: %s", 1, "NodeNotReadyError"),
    ("aiokafka.consumer.group_coordinator", "Heartbeat send request failed: %s. Will retry.", "x"),
    (
        "aiokafka.consumer.group_coordinator",
        "Error sending %s to node %s [%s] -- marking coordinator dead",
        1,
        2,
        3,
    ),
    ("kafka.net.manager", "Connection failed: %s", "refused"),
    ("kafka.net.manager", "Bootstrap connection to %s failed: %s (backoff %.2f secs)", 0, "x", 1.0),
    ("stream.consumer.kafka_log", "cannot ask Kafka for offsets yet: %s", "x"),
]


def test_an_outage_is_one_line_a_minute_whoever_speaks_of_it(
    say: Callable[..., str | None], clock: Clock
) -> None:
    written = []
    for _ in range(600):
        written += [line for each in AWAY if (line := say(*each)) is not None]
        clock.now_s += 0.2
    assert len(written) == 120 / EVERY_S
    assert written[0] == 'Unable connect to "kafka:9092": [Errno 111] Connect call failed'
    assert written[1].endswith("(and 2,699 similar lines since the last one)")


def test_other_lines_are_kept_apart_by_what_they_say(say: Callable[..., str | None], clock: Clock) -> None:
    assert say(*AWAY[0]) is not None
    for topic in ("a", "b"):
        line = say("aiokafka.cluster", "Topic %s is not authorized for this client", topic)
        assert (line is not None) == (topic == "a")
    assert say("aiokafka.consumer.fetcher", "Unexpected error in fetcher routine") is not None
    assert say("api.request_log", "GET /v1/live 500") == say("api.request_log", "GET /v1/live 500")
    assert say("kafkaesque", "Connection failed") is not None
    for number in range(2 * MOST_KINDS):
        assert say("faust", f"text {number}") is not None
    clock.now_s += EVERY_S
    mistaken = logging.LogRecord("aiokafka", logging.ERROR, __file__, 1, "one %s and %s", ("wrong",), None)
    assert OutageLines().filter(mistaken)


def test_a_coordinator_is_missed_only_when_kafka_had_time_to_have_one(
    say: Callable[..., str | None], clock: Clock
) -> None:
    missing = (
        "aiokafka.consumer.group_coordinator",
        "Group Coordinator Request failed: %s",
        "[Error 15] GroupCoordinatorNotAvailableError",
    )
    for _ in range(2):  # Kafka is new, and an hour later so it is again
        assert [say(*missing) for _ in range(9)] == [None] * 9
        clock.now_s += 3_600.0
    for _ in range(10):
        assert say(*missing) is None
        clock.now_s += 1.0
    assert say(*missing) is None
    clock.now_s += 1.0
    assert say(*missing) is not None


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before[0], before[1]


@pytest.mark.usefixtures("_restored_logging")
async def test_a_real_consumer_without_kafka_writes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging(Settings())
    for _ in range(30):
        consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
        with pytest.raises(KafkaError):
            await asyncio.wait_for(consumer.start(), 30)
        await consumer.stop()
    lines = written.getvalue().splitlines()
    assert len(lines) == 1
    assert 'Unable connect to "127.0.0.1:1"' in lines[0]
