"""Unlinking a device from a customer, for shared computers and wrong links."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_arguments
from contracts.clock import wall_clock_ms
from contracts.customers import CustomerReport, ReportKind, encode_report
from contracts.event_ids import content_id
from contracts.events import Event, Statement, encode
from contracts.partitioning import partition_of
from contracts.topics import Topics
from readers.reader import Reader

TIMEOUT_S = 5.0
FORGET = Statement.FORGET_CUSTOMER


class NotRecorded(RuntimeError):
    """Kafka did not acknowledge the records."""


async def unlink(reader: Reader, customer_id: str, visitor_id: str) -> None:
    """Have a device and a customer forget each other; raises `NotRecorded`.

    Whoever else is logged in on the device by now stays so.
    """
    topics = Topics(reader.settings.topic_prefix)
    await _send(
        reader,
        [
            (topics.customers, customer_id, device_forgotten(customer_id, visitor_id)),
            (topics.of(FORGET), visitor_id, customer_forgotten(visitor_id, customer_id)),
        ],
    )


async def forget_device(reader: Reader, customer_id: str, visitor_id: str) -> None:
    """Have a customer's record forget a device; raises `NotRecorded`."""
    topic = Topics(reader.settings.topic_prefix).customers
    await _send(reader, [(topic, customer_id, device_forgotten(customer_id, visitor_id))])


async def forget_customer(reader: Reader, visitor_id: str, customer_id: str) -> None:
    """Have a device forget a customer; raises `NotRecorded`."""
    topic = Topics(reader.settings.topic_prefix).of(FORGET)
    await _send(reader, [(topic, visitor_id, customer_forgotten(visitor_id, customer_id))])


def device_forgotten(customer_id: str, visitor_id: str) -> bytes:
    """The record for a customer."""
    return encode_report(CustomerReport(ReportKind.UNLINK, customer_id, visitor_id, wall_clock_ms()))


def customer_forgotten(visitor_id: str, customer_id: str) -> bytes:
    """The record for a device."""
    now_ms = wall_clock_ms()
    event_id = content_id(FORGET, customer_id, visitor_id, now_ms)
    return encode(Event(event_id, FORGET, now_ms, visitor_id, "", customer_id=customer_id))


async def _send(reader: Reader, records: list[tuple[str, str, bytes]]) -> None:
    """Have records (topic, key, value) acknowledged; raises `NotRecorded`. Connects anew: they are few."""
    producer = AIOKafkaProducer(**aiokafka_arguments(reader.settings), acks="all", request_timeout_ms=4_000)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await producer.start()
            for topic, key, value in records:
                partition = partition_of(key, reader.settings.partitions)
                await producer.send_and_wait(topic, value, key=key.encode(), partition=partition)
    except (KafkaError, OSError, AssertionError) as exc:  # aiokafka asserts that the partition is there
        raise NotRecorded(f"not acknowledged: {exc!r}") from exc
    finally:
        await producer.stop()
