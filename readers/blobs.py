"""Reads of packed values; one that somebody has damaged is as good as none."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from redis.exceptions import ResponseError

from connections.redis_troubles import is_code
from contracts.blob_formats import LaterFormat
from readers.reader import Reader
from readers.unreadable import UNREADABLE

V = TypeVar("V")
W = TypeVar("W")
V_co = TypeVar("V_co", covariant=True)


class Wanted(NamedTuple, Generic[V_co]):
    """The value under a key; `what` names it in the log."""

    key: str
    what: str
    unpack: Callable[[bytes], V_co]


async def read_blob(reader: Reader, key: str, what: str, unpack: Callable[[bytes], V]) -> V | None:
    """The value under a key; None for one Redis does not know, or that cannot be read.

    `what` names it in the log. Raises `LaterFormat` for one that a later version wrote, and
    `redis.RedisError`.
    """
    try:
        blob: Any = await reader.ask(b"GET", key)
    except ResponseError as exc:
        blob = exc
    return _value_of(blob, what, unpack)


async def read_two(reader: Reader, one: Wanted[V], other: Wanted[W]) -> tuple[V | None, W | None]:
    """The values under two keys, asked for together and without a task for each; see `read_blob`."""
    replies = reader.ask(b"GET", one.key), reader.ask(b"GET", other.key)
    blobs = await asyncio.gather(*replies, return_exceptions=True)
    return _value_of(blobs[0], one.what, one.unpack), _value_of(blobs[1], other.what, other.unpack)


def _value_of(reply: Any, what: str, unpack: Callable[[bytes], V]) -> V | None:
    """The value in a reply of Redis, which may be an exception."""
    if reply is None:
        return None
    if isinstance(reply, ResponseError) and is_code(reply, "WRONGTYPE"):
        UNREADABLE.note(what, "it has the wrong type")
        return None
    if isinstance(reply, BaseException):
        raise reply
    return value_in(reply, what, unpack)


def value_in(blob: bytes, what: str, unpack: Callable[[bytes], V]) -> V | None:
    """The value in a blob, None in what is none; raises `LaterFormat`."""
    try:
        return unpack(blob)
    except LaterFormat:
        raise
    except Exception as exc:  # the boundary: whatever the bytes are, they are none of ours
        UNREADABLE.note(what, exc)
        return None
