"""Sessions as they are kept for recommendations: products in order, and what was done of each."""

from collections.abc import Iterable
from typing import NamedTuple

import msgpack

from contracts.blob_formats import unknown_format
from contracts.carts import CART, PURCHASE
from contracts.shapes import require
from contracts.visitor import ACTION_TYPES, Action

FORMAT = 1
"""First element of the blob."""
MAX_ITEMS = 30
"""Products of one session that are kept, those of the newest actions."""
SESSIONS_PER_VISITOR = 16
"""The newest sessions of a visitor are kept: that of number `n` is in the field `n % 16`."""

VIEWED, CARTED, BOUGHT = 1, 2, 4
"""Bits of what was done of a product. `VIEWED` is also a favorite, and a removal from the cart."""
MARKS = tuple(
    CARTED if rank == CART else BOUGHT if rank == PURCHASE else VIEWED for rank in range(len(ACTION_TYPES))
)
"""The bit of each `Action.rank`."""


class StoredSession(NamedTuple):
    """One session.

    `start_ms` and `last_ms` are the times of its first and last action (event time). `items` are distinct
    products in the order of their last action, oldest first, at most the newest `MAX_ITEMS`; `actions` has
    for each of them the bits of what was done (`VIEWED`, `CARTED`, `BOUGHT`).
    """

    start_ms: int
    last_ms: int
    items: tuple[str, ...]
    actions: tuple[int, ...]


def stored_session(start_ms: int, actions: Iterable[Action]) -> StoredSession:
    """The session of some actions, sorted and not empty, that began at `start_ms`."""
    marks: dict[str, int] = {}
    last_ms = start_ms
    for at_ms, rank, _, product_id, *_ in actions:
        last_ms = at_ms
        if product_id:  # an order without lines names none
            marks[product_id] = marks.pop(product_id, 0) | MARKS[rank]
    items, bits = tuple(marks), tuple(marks.values())
    return StoredSession(start_ms, last_ms, items[-MAX_ITEMS:], bits[-MAX_ITEMS:])


def session_field(number: int) -> str:
    """The field of a visitor's hash in which the session with this number is."""
    return str(number % SESSIONS_PER_VISITOR)


_pack = msgpack.Packer(use_bin_type=True).pack


def pack_session(session: StoredSession) -> bytes:
    """The blob of a session."""
    blob: bytes = _pack((FORMAT, *session))
    return blob


def unpack_session(blob: bytes) -> StoredSession:
    """The session in a blob; raises `LaterFormat`, or some other exception for what no version wrote."""
    found, *fields = msgpack.unpackb(blob, use_list=False)
    if found != FORMAT:
        raise unknown_format("session", found, FORMAT)
    return StoredSession(*fields)


def check_session(session: StoredSession) -> None:
    """Raises `ValueError` for a session that no version wrote."""
    require(session, StoredSession)
    start_ms, last_ms, items, actions = session
    if not (
        start_ms <= last_ms
        and len(items) == len(actions) == len(set(items)) <= MAX_ITEMS
        and all(0 < bits < VIEWED + CARTED + BOUGHT + 1 for bits in actions)
        and all(items)
    ):
        raise ValueError("a session has parts that do not fit together")
