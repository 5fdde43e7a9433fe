"""The dead letter: what could not become an event, with its bytes, its place and the reason."""

import base64
from typing import Any, NamedTuple

import orjson

MAX_ORIGINAL_BYTES = 256 * 1024
"""Longer keys and values are cut to this, so that a letter always fits into one Kafka record (1 MB).

An event has at most `contracts.events.MAX_EVENT_BYTES`, so nothing that was cut can ever pass the contract.
"""


SYSTEMS = ("segment", "ga4")
"""Other systems whose senders are not told of refusals."""
HTTP = "http"
"""Events in our own form, sent over HTTP: their senders are told of refusals in the answer as well."""
KAFKA = "kafka"
"""In the name of the sender of a record; without a header that names one, it is nobody's."""


def sender_of(way: str, client: str | None) -> str:
    """The name of a sender: the way it sends by, and what the program calls itself."""
    return way if client is None else f"{way} {client}"


class DeadLetter(NamedTuple):
    """A refused record. `offset` is a Kafka offset, or the row number (from 1) when `topic` names a file.

    If `topic` is one of `SYSTEMS`, perhaps with a library behind a colon, or `HTTP`, perhaps with the id of
    an API key, it is any number, and the value is what the event said of the order. `client` is the program
    that sent it by its own account: its user agent, or what `contracts.senders` finds in a record's headers.
    """

    code: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    rejected_ms: int
    client: str | None = None

    @property
    def sender(self) -> str | None:
        """Who sent it: a system and its library, or `HTTP` and a key, with the program's name if it told one.

        Of a record, `KAFKA` and that name. None for rows of files and records that name nobody.
        """
        if self.topic.partition(":")[0] in (*SYSTEMS, HTTP):
            return sender_of(self.topic, self.client)
        return None if self.client is None else sender_of(KAFKA, self.client)

    @property
    def letter_id(self) -> str:
        """The same for every copy of this letter, so that readers can drop repeats."""
        return f"{self.topic}-{self.partition}-{self.offset}"


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """The letter as JSON; original bytes are base64, for they may be anything, and cut if very long."""
    fields: dict[str, Any] = {
        "letter_id": letter.letter_id,
        "code": letter.code,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key_base64": _to_base64(letter.key),
        "value_base64": _to_base64(letter.value),
        "rejected_ms": letter.rejected_ms,
    }
    return orjson.dumps(fields if letter.client is None else {**fields, "client": letter.client})


def decode_dead_letter(raw: bytes) -> DeadLetter:
    """The letter in `raw`; raises `ValueError` if `encode_dead_letter` did not write it."""
    fields: dict[str, Any] = orjson.loads(raw)
    if type(fields) is not dict:
        raise ValueError("a dead letter must be a JSON object")
    for name, kinds in _KINDS.items():
        if type(fields.get(name)) not in kinds:
            raise ValueError(f"{name} of a dead letter must be {kinds[0].__name__}")
    client = fields.get("client")  # letters of earlier versions have none
    if type(client) not in (str, type(None)):
        raise ValueError("client of a dead letter must be str")
    return DeadLetter(
        code=fields["code"],
        detail=fields["detail"],
        topic=fields["topic"],
        partition=fields["partition"],
        offset=fields["offset"],
        key=_from_base64(fields["key_base64"]),
        value=_from_base64(fields["value_base64"]),
        rejected_ms=fields["rejected_ms"],
        client=client,
    )


_KINDS: dict[str, tuple[type, ...]] = {
    "code": (str,),
    "detail": (str,),
    "topic": (str,),
    "partition": (int,),
    "offset": (int,),
    "key_base64": (str, type(None)),
    "value_base64": (str, type(None)),
    "rejected_ms": (int,),
}


def cut(raw: bytes | None) -> bytes | None:
    """As much of a record's value as a letter has."""
    return None if raw is None else raw[:MAX_ORIGINAL_BYTES]


def _to_base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw[:MAX_ORIGINAL_BYTES]).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
