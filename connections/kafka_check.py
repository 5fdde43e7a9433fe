"""Asks Kafka whether it lets us in, before clients that would only say that nobody answered."""

import asyncio
import logging

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from connections.kafka import aiokafka_arguments, servers
from connections.kafka_rights import Rights, check_rights
from connections.kafka_troubles import kafka_trouble
from connections.troubles import ConnectionRefused, Trouble
from contracts.connection_settings import ConnectionSettings as Settings

TIMEOUT_S = 10.0
_CLOSE_S = 1.0
_CLIENT_LOG = "aiokafka.conn"


async def check_kafka(settings: Settings, rights: Rights | None = None) -> Trouble | None:
    """What keeps us from all bootstrap servers; None if one of them lets us in, with these rights.

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
            connection = None
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    connection = await create_conn(host.strip("[]"), int(port), **arguments)
                    # A broker that wants a password says so to nobody: it closes the connection now.
                    await connection.send(MetadataRequest([]))
                    if rights is not None and settings.kafka_protocol != "PLAINTEXT":
                        return await check_rights(connection, rights)
            except (KafkaError, OSError, EOFError, ValueError) as exc:  # a bad port is no number
                trouble = kafka_trouble(exc)
                is_unsure = trouble.code == "closed" and settings.kafka_protocol != "SASL_SSL"
                found.append(trouble._replace(is_refusal=True) if is_unsure else trouble)
                continue
            finally:
                if connection is not None:
                    await asyncio.wait([asyncio.ensure_future(connection.close())], timeout=_CLOSE_S)
            return None
    finally:
        quiet.setLevel(level)
    return next((trouble for trouble in found if trouble.is_refusal), found[0])


async def require_kafka(settings: Settings, rights: Rights | None = None) -> None:
    """Raises `ConnectionRefused` if Kafka says no to these settings; one that is away may still come."""
    trouble = await check_kafka(settings, rights)
    if trouble is not None and trouble.is_refusal:
        raise ConnectionRefused(trouble)


def require_kafka_now(settings: Settings, *, after_failure: bool = False) -> None:
    """The same for callers without an event loop.

    Where Kafka asks for nothing, as far as we know, it is only asked `after_failure` of another client.
    """
    if after_failure or settings.kafka_protocol != "PLAINTEXT":
        asyncio.run(require_kafka(settings))
