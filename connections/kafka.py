"""Where Kafka is and how it lets us in, as arguments of each client library that we use."""

from typing import Any

from contracts.settings import Settings

READ_COMMITTED = "read_committed"
"""Isolation level of everyone who reads events: those of an aborted transaction never happened."""


def kafka_python_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of kafka-python's producer, consumer and admin client."""
    return {"bootstrap_servers": _servers(settings), "api_version": settings.kafka_api_version}


def aiokafka_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of aiokafka's producer and consumer."""
    return {"bootstrap_servers": _servers(settings)}


def aiokafka_reader_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of an aiokafka consumer outside any group, which sees what was committed and nothing else."""
    return aiokafka_arguments(settings) | {
        "group_id": None,
        "enable_auto_commit": False,
        "isolation_level": READ_COMMITTED,
    }


def librdkafka_arguments(settings: Settings) -> dict[str, Any]:
    """Configuration of confluent-kafka's clients; librdkafka writes no log of its own."""
    return {"bootstrap.servers": settings.bootstrap, "log_level": 0}


def faust_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of Faust's app."""
    return {"broker": [f"kafka://{server}" for server in _servers(settings)]}


def _servers(settings: Settings) -> list[str]:
    return settings.bootstrap.split(",")
