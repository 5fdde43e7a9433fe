"""The deletion of a visitor: its record in Kafka, and the digest that stands for the visitor."""

import hmac
from typing import Any, NamedTuple

import orjson

from contracts.fields import kind_of

DELETION_SCHEMA = 1
SETTLE_MS = 2_000
"""Events from up to so long after the record are kept out too: they were under way when it was written.

A worker reads the record long before any later event of the visitor, so that the visitor's whole state can go
and comes out the same when the log is read again.
"""
_KEYLESS = b"storepulse"
_DIGITS = frozenset("0123456789abcdef")


class Deletion(NamedTuple):
    """One deletion. `digest` is that of the visitor (`digest_user`), `at_ms` when the API took the request.

    `secret_id` tells which secret the digest was made with, and nothing of the secret.
    """

    deletion_id: str
    digest: str
    at_ms: int
    secret_id: str


class InvalidDeletion(ValueError):  # named as InvalidEvent is
    """Bytes that are not a deletion; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def digest_user(user_id: str, secret: str) -> str:
    """64 hex digits that stand for the visitor; nobody without the secret can try ids until one fits."""
    return hmac.digest(secret.encode() or _KEYLESS, user_id.encode(), "sha256").hex()


def secret_id_of(secret: str) -> str:
    """8 hex digits by which a worker notices that digests were made with another secret than its own."""
    return hmac.digest(secret.encode() or _KEYLESS, b"secret id", "sha256").hex()[:8]


def cut_of(deletion: Deletion, record_ms: int) -> int:
    """Events of the visitor up to this moment (ms) are kept out; `record_ms` is the record's timestamp."""
    return max(deletion.at_ms, record_ms) + SETTLE_MS


def encode_deletion(deletion: Deletion) -> bytes:
    """The deletion as JSON; its key in Kafka is the digest."""
    return orjson.dumps({"schema": DELETION_SCHEMA, **deletion._asdict()})


def decode_deletion(raw: bytes | None) -> Deletion:
    """The deletion in a record's value; raises `InvalidDeletion`."""
    try:
        fields: Any = orjson.loads(raw or b"null")
    except orjson.JSONDecodeError as exc:
        raise InvalidDeletion("deletion.not_json", "a deletion must be JSON") from exc
    if type(fields) is not dict:
        raise InvalidDeletion("deletion.not_object", f"a deletion must be an object, got {kind_of(fields)}")
    if fields.get("schema") != DELETION_SCHEMA:
        raise InvalidDeletion("schema.unknown", f"schema must be {DELETION_SCHEMA}")
    deletion_id, digest, secret_id = (
        _text(fields, name, size) for name, size in (("deletion_id", None), ("digest", 64), ("secret_id", 8))
    )
    at_ms = fields.get("at_ms")
    if type(at_ms) is not int or not 0 <= at_ms < 2**53:
        raise InvalidDeletion("at_ms.not_integer", "at_ms must be a time in epoch ms")
    return Deletion(deletion_id, digest, at_ms, secret_id)


def _text(fields: dict[str, Any], name: str, digits: int | None) -> str:
    """A text of 1 to 64 characters, or of so many hex digits."""
    value = fields.get(name)
    if type(value) is not str:
        raise InvalidDeletion(f"{name}.not_string", f"{name} must be a string, got {kind_of(value)}")
    if digits is not None and (len(value) != digits or not _DIGITS.issuperset(value)):
        raise InvalidDeletion(f"{name}.not_hex", f"{name} must be {digits} hex digits")
    if not 1 <= len(value) <= 64:
        raise InvalidDeletion(f"{name}.too_long", f"{name} must have 1 to 64 characters")
    return value
