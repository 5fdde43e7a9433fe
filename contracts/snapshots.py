"""Snapshots: derived values of one subject, written whole into Redis and into a topic of their own."""

from typing import Any, NamedTuple

import msgpack
import orjson

from contracts.subjects import Subject, parse_subject

MAX_HEADER_BYTES = 24
"""Version, epoch and time of a blob are within its first so many bytes."""

_pack_header = msgpack.Packer(use_bin_type=False).pack


class Snapshot(NamedTuple):
    """A value as of `made_ms` (epoch ms, the moment before its inputs were read).

    `version` is that of the job that made it, `epoch` that of the partition it was written under. Of two
    snapshots of a subject the one with the higher `(epoch, made_ms)` is the newer.
    """

    version: int
    epoch: int
    made_ms: int
    value: Any


class InvalidSnapshot(ValueError):
    """Bytes that are no snapshot."""


def encode_snapshot(version: int, epoch: int, made_ms: int, packed_value: bytes) -> bytes:
    """The blob in Redis: a header as one MessagePack list, read alone by a script, then the packed value."""
    header: bytes = _pack_header((version, epoch, made_ms))
    return header + packed_value


def decode_snapshot(blob: bytes) -> Snapshot:
    """The snapshot in a blob; raises `InvalidSnapshot`."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=len(blob))
    unpacker.feed(blob)
    try:
        version, epoch, made_ms = unpacker.unpack()
        value = unpacker.unpack()
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise InvalidSnapshot(f"{len(blob)} bytes are not a snapshot: {exc}") from exc
    return Snapshot(version, epoch, made_ms, value)


def encode_record(
    job: str, subject: Subject, version: int, epoch: int, made_ms: int, json_value: bytes
) -> bytes:
    """The record in the job's topic, from the value's JSON."""
    return orjson.dumps(
        {
            "snapshot": job,
            "subject": str(subject),
            "version": version,
            "epoch": epoch,
            "made_ms": made_ms,
            "value": orjson.Fragment(json_value),
        }
    )


def decode_record(record: bytes) -> tuple[str, Subject, Snapshot]:
    """Job, subject and snapshot of a record; raises `InvalidSnapshot`."""
    try:
        fields = orjson.loads(record)
        snapshot = Snapshot(fields["version"], fields["epoch"], fields["made_ms"], fields["value"])
        return fields["snapshot"], parse_subject(fields["subject"]), snapshot
    except (ValueError, KeyError, TypeError) as exc:
        raise InvalidSnapshot(f"the record is not a snapshot: {exc!r}") from exc
