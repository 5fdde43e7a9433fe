"""Dead letters of records that components cannot take."""

from contracts.dead_letters import DeadLetter, cut
from contracts.senders import client_of_record
from stream.batch.records import Record, refusal_of
from stream.components.component import Source


def letter_of(record: Record, source: Source, exc: Exception) -> DeadLetter:
    """The dead letter of a record that could not be taken for this reason."""
    code, detail = refusal_of(exc)
    return DeadLetter(
        code, detail, source.topic, source.partition, record.offset, record.key, cut(record.value),
        source.now_ms, client_of_record(record.headers),
    )  # fmt: skip
