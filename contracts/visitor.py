"""A visitor's state as it lies in Redis: the values, and their blob."""

from typing import Any, NamedTuple

import msgpack

from contracts.events import EventType

FORMAT = 1
"""First element of every blob; a reader refuses formats it does not know."""

ACTION_TYPES: tuple[EventType, ...] = (
    EventType.VIEW,
    EventType.FAVORITE,
    EventType.CART,
    EventType.REMOVE_FROM_CART,
    EventType.PURCHASE,
)
"""Index = `Action.rank`. Events of the same millisecond are applied in this order."""

RANK_OF_TYPE: dict[EventType, int] = {t: rank for rank, t in enumerate(ACTION_TYPES)}


class Action(NamedTuple):
    """What the state keeps of one event. Sorts by time, then rank, then digest: a total order."""

    at_ms: int
    rank: int
    digest: bytes
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None
    category: str | None
    brand: str | None
    session_id: str | None


class CartLine(NamedTuple):
    """One product in the cart; price of the last add, per unit, in minor units."""

    quantity: int
    price_minor: int | None
    currency: str | None
    added_ms: int


class Session(NamedTuple):
    """One session and the cart at its end. `counts` has one number per `ACTION_TYPES`."""

    session_id: str | None
    number: int
    start_ms: int
    last_ms: int
    counts: tuple[int, int, int, int, int]
    units: int
    revenue_minor: dict[str, int]
    cart: dict[str, CartLine]


class Totals(NamedTuple):
    """Sums over everything the visitor did while the state lived, whatever the order of arrival."""

    first_ms: int
    last_ms: int
    counts: tuple[int, int, int, int, int]
    units: int
    revenue_minor: dict[str, int]


class Visitor(NamedTuple):
    """State of one visitor.

    `head` is the current session: `base` with the actions of `tail` applied in order. `tail` holds the recent
    actions sorted by time; an event that comes late is inserted there and `head` is computed again.
    `ended` says that the watermark passed the end of `head`. `timer_ms` is the deadline that stands in Redis
    (0: none). `seen` maps digests of applied event ids, `orders` digests of order ids to their earliest line.
    """

    totals: Totals
    base: Session | None
    head: Session
    tail: tuple[Action, ...]
    ended: bool
    timer_ms: int
    seen: dict[bytes, None]
    orders: dict[bytes, int]


_packer = msgpack.Packer(use_bin_type=True)


def pack_visitor(visitor: Visitor) -> bytes:
    """The blob of a visitor; named tuples become arrays."""
    return bytes(
        _packer.pack(
            (
                FORMAT,
                visitor.totals,
                visitor.base,
                visitor.head,
                visitor.tail,
                visitor.ended,
                visitor.timer_ms,
                b"".join(visitor.seen),
                visitor.orders,
            )
        )
    )


DIGEST_BYTES = 8


def unpack_visitor(blob: bytes) -> Visitor:
    """The visitor in a blob; raises `ValueError` for a format this version does not know."""
    fields: list[Any] = msgpack.unpackb(blob, strict_map_key=False, use_list=False)
    if fields[0] != FORMAT:
        raise ValueError(f"visitor blob has format {fields[0]!r}, this version reads {FORMAT}")
    _, totals, base, head, tail, ended, timer_ms, seen, orders = fields
    return Visitor(
        Totals(*totals),
        None if base is None else _session(base),
        _session(head),
        tuple([Action(*action) for action in tail]),
        ended,
        timer_ms,
        dict.fromkeys([seen[i : i + DIGEST_BYTES] for i in range(0, len(seen), DIGEST_BYTES)]),
        orders,
    )


def _session(fields: tuple[Any, ...]) -> Session:
    session = Session(*fields)
    return session._replace(cart={product: CartLine(*line) for product, line in session.cart.items()})
