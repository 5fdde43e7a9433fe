"""What is stored of an API key, and whether a secret is its."""

import hmac
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import orjson

from api.identity.key_text import KeyKind, digest
from api.identity.principal import Limits, Principal, Scope

KeyState = Literal["active", "expired", "revoked"]

APP_DIVISOR = 4
"""An app is in everybody's hands, and so is one that went wrong: it gets a quarter of the defaults."""
_NOBODY = digest("")
"""Compared with where there is no key, so that an unknown id takes as long as a wrong secret."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key without its secret; times are epoch ms."""

    key_id: str
    name: str
    kind: KeyKind
    scopes: tuple[Scope, ...]
    origins: tuple[str, ...]
    """Where a publishable key may be used."""
    may_purchase: bool
    digest: str
    created_ms: int
    expires_ms: int | None = None
    """None: never."""
    revoked_ms: int | None = None
    previous_digest: str | None = None
    """Of the secret before the last rotation."""
    previous_until_ms: int = 0
    requests_per_s: int | None = None
    """None: as the settings say, for this limit and the two quotas."""
    events_per_minute: int | None = None
    events_per_day: int | None = None

    def state(self, now_ms: int) -> KeyState:
        """What has become of the key."""
        if self.revoked_ms is not None:
            return "revoked"
        return "active" if self.expires_ms is None or now_ms < self.expires_ms else "expired"

    def rotated(self, new_digest: str, *, now_ms: int, overlap_ms: int) -> "KeyRecord":
        """The key with another secret; the one it has now is valid for `overlap_ms` more."""
        return replace(
            self,
            digest=new_digest,
            previous_digest=self.digest if overlap_ms else None,
            previous_until_ms=now_ms + overlap_ms,
        )


def takes_secret(record: KeyRecord | None, secret: str, now_ms: int) -> bool:
    """Whether the secret is the record's, in the same time whatever the answer; None takes none."""
    given = digest(secret)
    current = previous = _NOBODY
    if record is not None:
        current = record.digest
        if record.previous_digest is not None and now_ms < record.previous_until_ms:
            previous = record.previous_digest
    is_current = hmac.compare_digest(given, current)
    is_previous = hmac.compare_digest(given, previous)
    return record is not None and secret != "" and (is_current or is_previous)


def to_principal(record: KeyRecord, defaults: Limits) -> Principal:
    """The bearer of the key. Limits of its own count, or else `defaults`, of which apps get a part."""
    own = (record.requests_per_s, record.events_per_minute, record.events_per_day)
    if record.kind is KeyKind.APP:
        defaults = Limits(*(-(-limit // APP_DIVISOR) for limit in defaults))
    limits = Limits(*(d if o is None else o for o, d in zip(own, defaults, strict=True)))
    return Principal(
        record.key_id,
        record.name,
        frozenset(record.scopes),
        record.kind.is_exposed,
        record.may_purchase,
        limits,
    )


def encode_record(record: KeyRecord) -> bytes:
    """The record as JSON. `is_publishable` is for processes of before there were kinds."""
    return orjson.dumps({**asdict(record), "is_publishable": record.kind.is_exposed})


def decode_record(blob: bytes) -> KeyRecord:
    """The record of `encode_record`; fields of a later version are ignored. Raises `ValueError`."""
    fields: dict[str, Any] = orjson.loads(blob)
    known = {name: fields[name] for name in KeyRecord.__slots__ if name in fields}
    known["scopes"] = tuple(Scope(scope) for scope in known["scopes"] if scope in _SCOPES)
    known["origins"] = tuple(known["origins"])
    before_kinds = KeyKind.PUBLISHABLE if fields.get("is_publishable") else KeyKind.SECRET
    known["kind"] = _to_kind(fields.get("kind", before_kinds))
    if any(type(known[name]) is not str for name in ("key_id", "name", "digest")):
        raise ValueError("id, name and digest of a key must be texts")
    return KeyRecord(**known)


def unreadable_record(key_id: str) -> KeyRecord:
    """What stands for a record that cannot be read: a revoked key that nobody has the secret of."""
    return KeyRecord(key_id, "(unreadable record)", KeyKind.SECRET, (), (), False, _NOBODY, 0, revoked_ms=0)


def _to_kind(text: str) -> KeyKind:
    for kind in KeyKind:
        if kind == text:
            return kind
    raise ValueError(f"{text!r} is not a kind of key")


_SCOPES = frozenset(Scope)
