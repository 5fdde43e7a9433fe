"""Asks Kafka whether it lets us in, before clients that would only say that nobody answered."""

import asyncio
import logging

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError

from connections.kafka import aiokafka_arguments, servers
from connections.kafka_troubles import kafka_trouble
from connections.troubles import ConnectionRefused, Trouble
from contracts.connection_settings import ConnectionSettings as Settings

TIMEOUT_S = 10.0
_CLIENT_LOG = "aiokafka.conn"


async def check_kafka(settings: Settings) -> Trouble | None:
    """What keeps us from all bootstrap servers; None if one of them lets us in.

    Of the troubles of several, one that is more than an absent server. Raises
    `connections.tls.CertificateError`.
    """
    arguments = aiokafka_arguments(settings)
    del arguments["bootstrap_servers"]
    found: list[Trouble] = []
    quiet = logging.getLogger(_CLIENT_LOG)
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)  # we say it, in one line
    try:
        for server in servers(settings):
            host, _, port = server.rpartition(":")
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    connection = await create_conn(host.strip("[]"), int(port), **arguments)
            except (KafkaError, OSError, EOFError, ValueError) as exc:  # a bad port is no number
                found.append(kafka_trouble(exc))
                continue
            connection.close()
            return None
    finally:
        quiet.setLevel(level)
    return next((trouble for trouble in found if trouble.is_refusal), found[0])


async def require_kafka(settings: Settings) -> None:
    """Raises `ConnectionRefused` if Kafka says no to these settings; one that is away may still come."""
    trouble = await check_kafka(settings)
    if trouble is not None and trouble.is_refusal:
        raise ConnectionRefused(trouble)
