"""Batches of records as they lie in a fetch, for what aiokafka's parser does not give out or will not read.

Kafka's record batch, version 2 (KIP-98): the base offset, the length of what follows it, and after 4 bytes
the version; the checksum covers what follows it, not the base offset.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from stream.consumer.batch_lengths import with_true_lengths
from stream.consumer.unpacking import MAX_UNPACKED_BYTES

_PLACE = struct.Struct(">qi")
"""Base offset and length of a batch of any version."""
_VERSION_AT, _VERSION, _DELTA_AT, _COUNT_AT = 16, 2, 23, 57
_INT = struct.Struct(">i")
MOST_RECORDS = MAX_UNPACKED_BYTES // 7
"""Of one batch; a record has no fewer bytes."""


class KeptRecords(MemoryRecords):  # type: ignore[misc]  # a class of C
    """A fetch's batches that leave the bytes at hand which they are read from."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


def keep_raw_batches() -> None:
    """Have fetchers of this process keep the bytes of their fetches as long as these are read."""
    fetcher.MemoryRecords = lambda raw: KeptRecords(with_true_lengths(raw))


class RawBatch(NamedTuple):
    """The bytes of one batch; `following` is the base offset of the next one in the fetch, if any."""

    raw: memoryview
    following: int | None

    @property
    def version(self) -> int:
        """The version of its form; -1 for one that is too short to have any."""
        return self.raw[_VERSION_AT] if len(self.raw) > _VERSION_AT else -1

    @property
    def is_known(self) -> bool:
        """Whether it is of the version that is read here."""
        return len(self.raw) >= _COUNT_AT + _INT.size and self.version == _VERSION

    @property
    def n_records(self) -> int:
        """How many records there are; the smaller one where its two numbers are not the same."""
        return min(self._sizes())

    def end_behind(self, first: int) -> int:
        """The offset behind the batch, which is behind `first` too.

        Either of the numbers that say how long it is may be damaged. The next batch tells, if there is one
        where one of them says; if not, the smaller number cannot pass over records of others.
        """
        if not self.is_known:
            return first + 1
        base = _PLACE.unpack_from(self.raw)[0]
        if self.following is not None and first < self.following <= base + max(self._sizes()):
            return self.following
        return int(max(first + 1, base + self.n_records))

    def _sizes(self) -> list[int]:
        """What can be true of its two numbers of records; that there is one if neither can."""
        (delta,), (count,) = (_INT.unpack_from(self.raw, at) for at in (_DELTA_AT, _COUNT_AT))
        return [size for size in (delta + 1, count) if 0 < size <= MOST_RECORDS] or [1]


class RawRecord(NamedTuple):
    """A record with the fields that the stream reads of one; header names are UTF-8 as far as they go."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class BadRecord(NamedTuple):
    """The place of a record that is not built as records are."""

    offset: int
    reason: str


def batch_at(raw: bytes, at: int) -> RawBatch:
    """The batch that begins at a position in a fetch."""
    _, length = _PLACE.unpack_from(raw, at)
    end = at + _PLACE.size + length
    following = _PLACE.unpack_from(raw, end)[0] if len(raw) >= end + _PLACE.size else None
    return RawBatch(memoryview(raw)[at:end], following)


def records_in(batch: RawBatch) -> Iterator[RawRecord | BadRecord]:
    """Its records one by one, each on its own: their lengths say where the next one is.

    Raises for a batch whose checksum is wrong, or that cannot be unpacked.
    """
    parsed = _DefaultRecordBatchPy(batch.raw)
    if not parsed.validate_crc():
        raise ValueError("its checksum is wrong")
    parsed._maybe_uncompress()
    data, at = parsed._buffer, parsed._pos
    first, newest_ms, kind = parsed.base_offset, parsed.max_timestamp, parsed.timestamp_type
    for number in range(batch.n_records):
        length, at = decode_varint(data, at)
        end = at + length
        if length < 0 or end > len(data):
            raise ValueError("a record in it is longer than the batch")
        try:
            yield _record(data[at:end], first, newest_ms if kind else None, parsed.first_timestamp, kind)
        except (ValueError, IndexError) as exc:
            yield BadRecord(first + number, f"a record of its batch cannot be read: {exc}")
        at = end


def _record(data: bytearray, first: int, log_ms: int | None, first_ms: int, kind: int) -> RawRecord:
    delta_ms, at = decode_varint(data, 1)  # behind the attributes, which no record uses
    number, at = decode_varint(data, at)
    key, at = _bytes(data, at)
    value, at = _bytes(data, at)
    n_headers, at = decode_varint(data, at)
    headers = []
    for _ in range(n_headers):
        name, at = _bytes(data, at)
        content, at = _bytes(data, at)
        headers.append(((name or b"").decode(errors="replace"), content))
    if at != len(data) or n_headers < 0:
        raise ValueError("its fields do not fill it")
    timestamp = first_ms + delta_ms if log_ms is None else log_ms
    return RawRecord(first + number, timestamp, kind, key, value, tuple(headers))


def _bytes(data: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(data, at)
    if length < 0:
        return None, at
    if at + length > len(data):
        raise ValueError("a field is longer than the record")
    return bytes(data[at : at + length]), at + length
