"""Lengths of batches in a fetch, made right where they are damaged.

A batch's checksum does not cover its length (KIP-98), and every batch after it is found by it. aiokafka's
parser in C believes any length, negative ones too.
"""

import re
import struct

from aiokafka.record.util import calc_crc32c

_PLACE = struct.Struct(">qi")
"""Base offset, and the length of what follows these two."""
_CRC = struct.Struct(">I")
_VERSION_AT, _CRC_AT, _SUMMED_AT = 16, 17, 21
_HEADER_BYTES = 61
_SMALLEST = (14, 14, _HEADER_BYTES - _PLACE.size)
"""What follows the length at least, by version."""


def with_true_lengths(raw: bytes) -> bytes:
    """The bytes of a fetch up to the first batch that does not end where the next one begins.

    The next fetch begins with that one, as with one that is cut off. If it is the first, it is made to end
    where the next sound batch begins or the fetch ends; its checksum then says whether more of it is damaged.
    """
    at = 0
    while at < len(raw):
        end = _end(raw, at)
        if end is None or end > len(raw) or not (_begins(raw, end) or _is_sound(raw, at, end)):
            if at:
                return raw[:at]
            end = _following(raw) or len(raw)
            raw = _with_length(raw, end)
            end = max(end, _HEADER_BYTES)
        at = end
    return raw


def _end(raw: bytes, at: int) -> int | None:
    """Where a batch says that it ends; None where no batch can be."""
    if at + _VERSION_AT >= len(raw) or raw[at + _VERSION_AT] >= len(_SMALLEST):
        return None
    length: int = _PLACE.unpack_from(raw, at)[1]
    return at + _PLACE.size + length if length >= _SMALLEST[raw[at + _VERSION_AT]] else None


def _begins(raw: bytes, at: int) -> bool:
    """Whether the fetch ends here, or another batch may begin."""
    return at == len(raw) or _end(raw, at) is not None


def _is_sound(raw: bytes, at: int, end: int) -> bool:
    """Whether what is between these is a batch of version 2 with the right checksum."""
    if end - at < _HEADER_BYTES or raw[at + _VERSION_AT] != len(_SMALLEST) - 1:
        return False
    return bool(_CRC.unpack_from(raw, at + _CRC_AT)[0] == calc_crc32c(raw[at + _SUMMED_AT : end]))


def _following(raw: bytes) -> int | None:
    """Where the next batch with the right checksum and a higher offset begins.

    They are looked for by the upper half of the offset, which is the same as the first batch has.
    """
    if len(raw) < _HEADER_BYTES:
        return None
    base = _PLACE.unpack_from(raw)[0]
    begin = re.compile(rb"(?=%s.{12}\x02)" % re.escape(raw[:4]), re.DOTALL)
    for found in begin.finditer(raw, _HEADER_BYTES):
        place = found.start()
        end = _end(raw, place)
        if end is None or end > len(raw) or _PLACE.unpack_from(raw, place)[0] <= base:
            continue
        if _is_sound(raw, place, end):
            return place
    return None


def _with_length(raw: bytes, end: int) -> bytes:
    """The bytes with a first batch that ends there; what it lacks to have a header becomes zeros."""
    if end < _HEADER_BYTES:
        raw, end = raw.ljust(_HEADER_BYTES, b"\0"), _HEADER_BYTES
    return raw[:8] + (end - _PLACE.size).to_bytes(4, "big") + raw[_PLACE.size :]
