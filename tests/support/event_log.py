"""What is in the event topics of an installation."""

from kafka import KafkaConsumer, TopicPartition

from contracts.events import Event, decode
from contracts.settings import Settings
from contracts.topics import Topics


def read_event_log(settings: Settings) -> list[Event]:
    """Every event that is in Kafka by now: views first, then carts, then purchases."""
    topics = Topics(settings.topic_prefix).events
    parts = [TopicPartition(topic, p) for topic in topics for p in range(settings.partitions)]
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, enable_auto_commit=False)
    try:
        consumer.assign(parts)
        ends = consumer.end_offsets(parts)
        consumer.seek_to_beginning(*parts)
        found: list[tuple[int, Event]] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            for part, records in consumer.poll(timeout_ms=200).items():
                rank = topics.index(part.topic)
                found += [(rank, _decode(record.value, record.timestamp)) for record in records]
        return [event for _, event in sorted(found, key=lambda item: (item[0], item[1].event_time_ms))]
    finally:
        consumer.close()


def _decode(value: bytes, received_ms: int) -> Event:
    return decode(value, received_ms=received_ms, default_currency="USD")
