"""Unpacking of compressed batches within bounds: some kilobytes can hold gigabytes."""

import gzip
import io
import mmap
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import cramjam
from aiokafka.codec import snappy_decode

MAX_UNPACKED_BYTES = 64 << 20
"""Of one batch. Clients make batches of a megabyte or less before they compress them."""

_PARSERS = ("aiokafka.record.default_records", "aiokafka.record._crecords.default_records")


class _Thread(threading.local):
    """What one thread unpacks into, and how much it has unpacked so far."""

    unpacked = 0
    space: mmap.mmap | None = None


_thread = _Thread()


def bound_unpacking() -> None:
    """Have aiokafka's parser refuse batches that hold more than `MAX_UNPACKED_BYTES`, in this process."""
    codecs = {
        "gzip_decode": _unpack_gzip,
        "snappy_decode": _unpack_snappy,
        "lz4_decode": lambda payload: _unpack_into(cramjam.lz4.decompress_into, payload),
        "zstd_decode": lambda payload: _unpack_into(cramjam.zstd.decompress_into, payload),
    }
    for parser in _PARSERS:
        module = import_module(parser)
        for name, decode in codecs.items():
            setattr(module, name, decode)


def unpacked_bytes() -> int:
    """How much this thread has unpacked so far."""
    return _thread.unpacked


def _unpack_gzip(payload: Any) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(payload), mode="r") as packed:
        return _noted(packed.read(MAX_UNPACKED_BYTES + 1))


def _unpack_snappy(payload: Any) -> bytes:
    """Snappy packs to a twentieth at most: what the broker lets through is no more than fits."""
    return _noted(snappy_decode(payload))


def _unpack_into(unpack: Callable[[Any, Any], int], payload: Any) -> bytes:
    if _thread.space is None:
        _thread.space = mmap.mmap(-1, MAX_UNPACKED_BYTES + 1)  # takes memory only as far as it was written
    try:
        size = unpack(payload, _thread.space)
    except cramjam.DecompressionError as exc:
        if "whole buffer" in str(exc):
            raise _too_much() from None
        raise
    return _noted(_thread.space[:size])


def _noted(data: bytes) -> bytes:
    if len(data) > MAX_UNPACKED_BYTES:
        raise _too_much()
    _thread.unpacked += len(data)
    return data


def _too_much() -> ValueError:
    return ValueError(f"it is larger than {MAX_UNPACKED_BYTES >> 20} MiB when unpacked")
