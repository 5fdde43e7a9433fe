"""Reads of packed values; one that somebody has damaged is as good as none."""

from collections.abc import Callable
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from connections.redis_troubles import is_code
from contracts.visitor import LaterFormat
from readers.reader import Reader
from readers.unreadable import UNREADABLE

V = TypeVar("V")


async def read_blob(reader: Reader, key: str, what: str, unpack: Callable[[bytes], V]) -> V | None:
    """The value under a key; None for one Redis does not know, or that cannot be read.

    `what` names it in the log. Raises `LaterFormat` for one that a later version wrote, and
    `redis.RedisError`.
    """
    try:
        blob: Any = await reader.ask(b"GET", key)
    except ResponseError as exc:
        if not is_code(exc, "WRONGTYPE"):
            raise
        UNREADABLE.note(what, "it has the wrong type")
        return None
    return None if blob is None else value_in(blob, what, unpack)


def value_in(blob: bytes, what: str, unpack: Callable[[bytes], V]) -> V | None:
    """The value in a blob, None in what is none; raises `LaterFormat`."""
    try:
        return unpack(blob)
    except LaterFormat:
        raise
    except Exception as exc:  # the boundary: whatever the bytes are, they are none of ours
        UNREADABLE.note(what, exc)
        return None
