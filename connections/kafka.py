"""Where Kafka is and how it lets us in, as arguments of each client library that we use."""

import ssl
from typing import Any

from connections.tls import make_context
from contracts.connection_settings import ConnectionSettings as Settings

READ_COMMITTED = "read_committed"
"""Isolation level of everyone who reads events: those of an aborted transaction never happened."""


def kafka_python_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of kafka-python's producer, consumer and admin client."""
    return {
        "bootstrap_servers": servers(settings),
        "api_version": settings.kafka_api_version,
        **_security(settings),
    }


def aiokafka_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of aiokafka's producer and consumer."""
    return {"bootstrap_servers": servers(settings), **_security(settings)}


def aiokafka_reader_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of an aiokafka consumer outside any group, which sees what was committed and nothing else."""
    return aiokafka_arguments(settings) | {
        "group_id": None,
        "enable_auto_commit": False,
        "isolation_level": READ_COMMITTED,
    }


def librdkafka_arguments(settings: Settings) -> dict[str, Any]:
    """Configuration of confluent-kafka's clients; librdkafka writes no log of its own."""
    arguments: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap,
        "security.protocol": settings.kafka_protocol,
        "log_level": 0,
    }
    if uses_tls(settings):
        arguments["ssl.ca.location"] = settings.kafka_ca or "probe"
        if settings.kafka_certificate:
            arguments["ssl.certificate.location"] = settings.kafka_certificate
            arguments["ssl.key.location"] = settings.kafka_key or settings.kafka_certificate
    if uses_sasl(settings):
        arguments["sasl.mechanism"] = settings.kafka_mechanism
        arguments["sasl.username"] = settings.kafka_username
        arguments["sasl.password"] = _password(settings)
    return arguments


def faust_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of Faust's app."""
    import faust  # here: it takes half a second, and only workers are Faust apps

    arguments: dict[str, Any] = {"broker": [f"kafka://{server}" for server in servers(settings)]}
    if uses_sasl(settings):
        arguments["broker_credentials"] = faust.SASLCredentials(
            username=settings.kafka_username,
            password=_password(settings),
            ssl_context=tls_context(settings),
            mechanism=settings.kafka_mechanism,
        )
    elif uses_tls(settings):
        arguments["broker_credentials"] = faust.SSLCredentials(tls_context(settings))
    return arguments


def servers(settings: Settings) -> list[str]:
    """HOST:PORT of each bootstrap server."""
    return [server.strip() for server in settings.bootstrap.split(",")]


def uses_tls(settings: Settings) -> bool:
    """Whether connections are encrypted."""
    return settings.kafka_protocol in ("SSL", "SASL_SSL")


def uses_sasl(settings: Settings) -> bool:
    """Whether Kafka asks for a user and a password."""
    return settings.kafka_protocol.startswith("SASL")


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """How to check Kafka's certificate; None without TLS. Raises `connections.tls.CertificateError`."""
    if not uses_tls(settings):
        return None
    return make_context(
        "kafka", ca=settings.kafka_ca, certificate=settings.kafka_certificate, key=settings.kafka_key
    )


def _security(settings: Settings) -> dict[str, Any]:
    """Arguments that aiokafka and kafka-python have in common."""
    arguments: dict[str, Any] = {"security_protocol": settings.kafka_protocol}
    if uses_tls(settings):
        arguments["ssl_context"] = tls_context(settings)
    if uses_sasl(settings):
        arguments |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": _password(settings),
        }
    return arguments


def _password(settings: Settings) -> str:
    return settings.kafka_password.get_secret_value() if settings.kafka_password else ""
