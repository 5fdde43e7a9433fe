"""What travels through the stream: entries, and the clock of a partition."""

from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.events import Event


class Clock(NamedTuple):
    """Time of a partition: newest event time applied, and broker timestamp of the newest record (ms).

    Event time beyond the broker's timestamp is a sender's wrong clock: it does not move `max_event_ms`.
    """

    max_event_ms: int
    broker_ms: int


class Forward(NamedTuple):
    """A record that belongs to another partition, as it is: it goes into its topic once more, by its visitor.

    The copy has the event's id, named or derived, so whoever reads it twice counts it once. `sent_as` is the
    id under which the record came: that of the customer whom the event names.
    """

    topic: str
    key: bytes
    record_id: str
    value: bytes
    sent_as: str
    event: Event


class Entry(NamedTuple):
    """One record on its way through the stream: an event, or the dead letter or the copy it became."""

    offset: int
    at_ms: int
    broker_ms: int
    event: Event | None
    letter: DeadLetter | Forward | None


class CountedLine(NamedTuple):
    """A purchase that counts; `changes` are those of the number of orders, by start of a minute.

    `key` is what distinguishes its event from all others, `line` the digest of what makes it the same line
    whoever sends it; empty without an `order_id`.
    """

    event: Event
    changes: tuple[tuple[int, int], ...]
    key: str
    line: bytes
