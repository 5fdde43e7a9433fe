"""Unlinking a device from a customer, for shared computers and wrong links."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_arguments
from contracts.clock import wall_clock_ms
from contracts.customers import Report, ReportKind, encode_report
from contracts.events import LOGGED_OUT, Event, Statement, content_id, encode
from contracts.logins import login_of
from contracts.partitioning import partition_of
from contracts.topics import Topics
from readers.reader import Reader
from readers.visitors import read_visitor

TIMEOUT_S = 5.0


class NotRecorded(RuntimeError):
    """Kafka did not acknowledge the records."""


async def unlink(reader: Reader, customer_id: str, visitor_id: str) -> None:
    """Have the link removed, and the customer logged out of the device; raises `NotRecorded`.

    Whoever else is logged in on the device by now stays so.
    """
    topics, now_ms = Topics(reader.settings.topic_prefix), wall_clock_ms()
    report = Report(ReportKind.UNLINK, customer_id, visitor_id, now_ms)
    records = [(topics.customers, customer_id, encode_report(report))]
    if login_of(await read_visitor(reader, visitor_id)).customer_id == customer_id:
        event_id = content_id("unlink", customer_id, visitor_id, now_ms)
        logout = Event(event_id, Statement.IDENTIFY, now_ms, visitor_id, "", customer_id=LOGGED_OUT)  # type: ignore[arg-type]  # see `Statement`
        records.append((topics.of(logout.event_type), visitor_id, encode(logout)))
    await send(reader, records)


async def send(reader: Reader, records: list[tuple[str, str, bytes]]) -> None:
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
