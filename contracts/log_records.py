"""A record of Kafka, as far as it is read."""

from typing import Protocol


class LogRecord(Protocol):
    """The part of aiokafka's records that the stream and the archive read; `timestamp` is in ms."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
