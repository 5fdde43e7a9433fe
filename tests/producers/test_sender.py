"""Senders: the same suite for Kafka and its twin in memory, then what only Kafka can show."""

from collections.abc import Callable, Iterator

import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from contracts.dead_letters import DeadLetter, decode_dead_letter
from contracts.events import Event, EventType, InvalidEvent, decode
from contracts.keys import Keys
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.topics import Topics
from producers.installation import check_partitions
from producers.sender import MAX_IN_FLIGHT_BYTES, KafkaSender, MemorySender, Record, Sender, SendFailed

NOW_MS = 1_600_000_000_000
ReadBack = Callable[[], list[Record]]


def make_event(number: int, kind: str = "view", at_ms: int = NOW_MS) -> Event:
    return Event(f"e{number}", EventType[kind.upper()], at_ms, f"visitor-{number % 7}", f"p{number}")


def read_all(settings: Settings) -> list[Record]:
    """Everything in the installation's topics, each partition in order."""
    topics = Topics(settings.topic_prefix)
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    places = [TopicPartition(t, p) for t in topics.all for p in consumer.partitions_for_topic(t) or ()]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: list[Record] = []
    while any(consumer.position(place) < end for place, end in ends.items()):
        for place, records in consumer.poll(timeout_ms=500).items():
            found += [Record(place.topic, place.partition, r.key, r.value, tuple(r.headers)) for r in records]
    consumer.close()
    return found


@pytest.fixture(params=["memory", "kafka"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Sender, ReadBack, Topics]]:
    """A sender, how to read back what it sent, and the topics."""
    if request.param == "memory":
        settings = Settings(topic_prefix="t.")
        memory = MemorySender(settings)
        yield memory, lambda: memory.records, Topics("t.")
        return
    settings = request.getfixturevalue("installation")
    sender = KafkaSender(settings)
    yield sender, lambda: read_all(settings), Topics(settings.topic_prefix)
    sender.close()


def test_events_go_to_their_topic_keyed_by_visitor(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, read_back, topics = pair
    events = [make_event(i, kind) for i, kind in enumerate(EventType)]
    for event in events:
        sender.send(event)
    sender.flush()
    found = {decode(r.value, received_ms=NOW_MS, default_currency="EUR"): r for r in read_back()}
    assert found.keys() == set(events)
    for event, record in found.items():
        assert record.topic == topics.of(event.event_type)
        assert record.key == event.user_id.encode()
        assert record.partition == partition_of(event.user_id, 12)


def test_what_was_flushed_is_counted_as_acknowledged(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, read_back, _ = pair
    for i in range(500):
        sender.send(make_event(i))
    sender.flush()
    assert sender.sent == sender.acked == len(read_back()) == 500
    assert sum(sender.ends[where] - sender.starts[where] for where in sender.ends) == 500


def test_order_within_a_visitor_and_topic_is_kept(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, read_back, _ = pair
    for i in range(300):
        sender.send(make_event(i, at_ms=NOW_MS + i))
    sender.flush()
    seen: dict[bytes | None, list[int]] = {}
    for record in read_back():
        event = decode(record.value, received_ms=NOW_MS, default_currency="EUR")
        seen.setdefault(record.key, []).append(event.event_time_ms)
    assert len(seen) == 7
    assert all(times == sorted(times) for times in seen.values())


def test_a_refused_row_becomes_a_dead_letter(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, read_back, topics = pair
    letter = DeadLetter("price.negative", "price must not be negative", "a.csv", 0, 17, None, b"row", NOW_MS)
    sender.reject(letter)
    sender.flush()
    (record,) = read_back()
    assert record.topic == topics.rejected
    assert decode_dead_letter(record.value or b"") == letter
    # As those have that a worker writes: whoever reads them drops copies by it.
    assert record.headers == (("id", b"a.csv-0-17"),)


def test_raw_bytes_go_where_they_are_sent(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, read_back, topics = pair
    record = Record(topics.of(EventType.CART), 3, b"k", b"\xff")
    sender.send_raw(record)
    sender.flush()
    assert read_back() == [record]


def test_an_event_no_reader_would_take_is_not_sent(pair: tuple[Sender, ReadBack, Topics]) -> None:
    sender, _, _ = pair
    with pytest.raises(InvalidEvent, match=r"event\.too_large"):
        sender.send(make_event(1)._replace(extra={"note": "x" * 40_000}))
    assert sender.sent == 0


def test_kafkas_own_partitioner_agrees_with_ours(installation: Settings) -> None:
    topic = Topics(installation.topic_prefix).of(EventType.VIEW)
    producer = KafkaProducer(bootstrap_servers=installation.bootstrap)
    users = [f"{i * 7919}" for i in range(200)] + ["", "ü", "訪問者", "a" * 128, "72d76fde-8bb3-4e00"]
    sent = [(user, producer.send(topic, key=user.encode(), value=b"x")) for user in users]
    for user, future in sent:
        assert future.get(timeout=30).partition == partition_of(user, installation.partitions)
    producer.close()


def test_topics_of_a_partition_are_never_further_apart_than_half_the_allowed_disorder(
    installation: Settings,
) -> None:
    sender = KafkaSender(installation.model_copy(update={"disorder_ms": 60_000}))
    for i in range(60):
        kind = "cart" if i % 3 == 0 else "view"
        at_ms = NOW_MS + i * 31_000
        sender.send(make_event(0, kind, at_ms)._replace(event_id=str(i)))
        pending = [
            waiting[0][0]
            for topic, waiting in sender._by_partition[partition_of("visitor-0", 12)].items()
            if waiting and topic != Topics(installation.topic_prefix).of(EventType[kind.upper()])
        ]
        assert all(oldest_ms >= at_ms - 30_000 for oldest_ms in pending)
    sender.close()
    assert sender.acked == 60
    assert sender.waits_for_order > 0


def test_few_in_flight_still_sends_everything(installation: Settings) -> None:
    sender = KafkaSender(installation, max_in_flight=3)
    for i in range(100):
        sender.send(make_event(i))
        assert sender.sent - sender.acked <= 3
    sender.close()
    assert len(read_all(installation)) == 100


def test_long_letters_on_their_way_are_bounded_by_bytes(installation: Settings) -> None:
    sender = KafkaSender(installation)
    most_bytes = 0
    for row in range(80):
        sender.reject(DeadLetter("row.too_long", "", "a.csv", 0, row, None, bytes(200_000), NOW_MS))
        most_bytes = max(most_bytes, sum(len(each.record.value or b"") for each in sender._in_flight))
    sender.close()
    assert 0 < most_bytes <= MAX_IN_FLIGHT_BYTES
    assert len(read_all(installation)) == 80


def test_a_wrong_partition_count_is_named_at_once(installation: Settings) -> None:
    with pytest.raises(SendFailed, match="has 12 partitions, the settings say 20"):
        KafkaSender(installation.model_copy(update={"partitions": 20}))


def test_another_number_of_partitions_than_the_state_has_is_named(installation: Settings) -> None:
    """After topics grew: events for 12 partitions fit into 24, and would be where no worker expects them."""
    check_partitions(installation)  # no worker has been there
    with redis.Redis.from_url(installation.redis_url) as client:
        client.hset(Keys(installation.namespace, 12).installation(), "partitions", 24)
    with pytest.raises(SendFailed, match="has 24 partitions, STOREPULSE_PARTITIONS says 12: set it to 24"):
        check_partitions(installation)
    check_partitions(installation.model_copy(update={"partitions": 24}))
    check_partitions(installation.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))


def test_a_sender_works_with_the_embedded_broker(embedded_installation: Settings) -> None:
    sender = KafkaSender(embedded_installation)
    for i in range(200):
        sender.send(make_event(i))
    sender.close()
    assert sender.acked == 200
