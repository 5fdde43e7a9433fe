"""One visitor's state."""

from collections.abc import Iterator
from contextlib import contextmanager

from contracts.visitor import Visitor, unpack_visitor
from contracts.visitor_check import check_visitor
from readers.blobs import Wanted, read_blob, value_in
from readers.reader import Reader
from readers.unreadable import UNREADABLE

_WHAT = "the state of a visitor"


async def read_visitor(reader: Reader, user_id: str) -> Visitor | None:
    """The visitor's state; None for one Redis does not know, or whose state cannot be read.

    A worker sets such a state aside at the visitor's next event, and they begin anew. Raises `LaterFormat`
    for one that a later version wrote, and `redis.RedisError`.
    """
    return await read_blob(reader, *wanted_visitor(reader, user_id))


def wanted_visitor(reader: Reader, user_id: str) -> Wanted[Visitor]:
    """What `read_visitor` reads."""
    return Wanted(reader.keys.visitor(user_id), _WHAT, unpack_visitor)


class SpoiledVisitor(ValueError):
    """Parts of a visitor's state are none that any version wrote."""


@contextmanager
def passing_over_spoiled(visitor: Visitor) -> Iterator[None]:
    """Within it, what a state with spoiled parts leads to becomes `SpoiledVisitor`; other exceptions pass.

    To look at all of every state would take longer than the rest of an answer.
    """
    try:
        yield
    except Exception:
        try:
            check_visitor(visitor)
        except Exception as exc:  # the boundary: whatever the parts are, they are none of ours
            UNREADABLE.note(_WHAT, exc)
            raise SpoiledVisitor("the state of this visitor cannot be read") from exc
        raise


def readable_visitor(blob: bytes) -> Visitor | None:
    """The visitor in a blob, None in what is none; raises `LaterFormat`."""
    return value_in(blob, _WHAT, unpack_visitor)
