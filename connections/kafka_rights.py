"""Asks Kafka for the rights that a process needs, without doing anything with them.

A client that lacks one in the middle of its work says so late, in many words, or not at all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.produce import ProduceRequest

from connections.kafka_troubles import kafka_trouble
from connections.troubles import Trouble

_DENIED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError)
_NO_OFFSET = 2**62
_NO_PARTITION = 2**31 - 1
"""Beyond what any log has: rights are looked at before either is."""


class Rights(NamedTuple):
    """Topics that are read and written, and the consumer group; an empty group is none."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    group: str = ""


async def check_rights(connection: Any, rights: Rights) -> Trouble | None:
    """What is lacking, in the words of the first right that is; None if nothing, or if Kafka does not say."""
    try:
        for code, name in await _codes(connection, rights):
            error = for_code(code)
            if issubclass(error, _DENIED):
                return kafka_trouble(error(f"['{name}']"))
    except (KafkaError, NotImplementedError, TimeoutError, AttributeError, IndexError):
        return None  # of another version than we know: its clients will see
    return None


async def _codes(connection: Any, rights: Rights) -> list[tuple[int, str]]:
    """Codes of errors with the topic or group that each is about."""
    found: list[tuple[int, str]] = []
    if rights.group:
        beat = await connection.send(HeartbeatRequest(rights.group, -1, ""))
        found.append((beat.error_code, rights.group))
    if rights.reads:
        wanted = [(topic, [(0, _NO_OFFSET, 1)]) for topic in rights.reads]
        fetched = await connection.send(FetchRequest(0, 0, 1, 0, wanted))
        found += [(parts[0][1], topic) for topic, parts in fetched.topics if parts]
    if rights.writes:
        records = [(topic, [(_NO_PARTITION, b"")]) for topic in rights.writes]
        made = await connection.send(ProduceRequest(None, -1, 1_000, records))
        found += [(parts[0][1], topic) for topic, parts in made.topics if parts]
    return found
