"""A visitor's state as it lies in Redis: the values, and their blob."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgpack

from contracts.blob_formats import unknown_format
from contracts.events import EventType
from contracts.predictions import NO_PREDICTIONS, Predictions, pack_predictions, unpack_predictions
from contracts.visitor_alerts import WATCHED, pack_watched, put_watched

FORMAT = 3
"""First element of every blob; a reader refuses formats it does not know. Format 1 had no predictions."""
FORMAT_WITH_EXTRA = 4
"""That of visitors with values of extensions. The others stay readable for versions that know none."""
_FEWEST_FIELDS = 9
"""A blob of any version has as many, so that garbage is not taken for a later one."""

ACTION_TYPES: tuple[EventType, ...] = tuple(
    sorted(set(EventType) - {EventType.REFUND}, key=lambda event_type: event_type.rank)
)
"""What visitors do; index = `Action.rank`."""


class Action(NamedTuple):
    """What the state keeps of one event. Sorts by time, then rank, then digest: a total order.

    An order without lines has no product (an empty id) and its whole amount for a price.
    """

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


class Tail(NamedTuple):
    """Recent actions in order, packed one behind the other; `last` is the sort key of the newest.

    Packed, because a worker keeps tens of thousands of visitors in memory and hardly ever looks at an action
    again: adding one is joining bytes, and the blob in Redis holds these bytes as they are.
    """

    packed: bytes
    size: int
    last: tuple[int, int, bytes]

    def actions(self) -> list[Action]:
        """The actions, oldest first."""
        array = b"\xdc" + self.size.to_bytes(2) + self.packed  # a header of msgpack makes one array of them
        return list(map(action_of, msgpack.unpackb(array, use_list=False)))


NO_EXTRA: Mapping[str, Any] = MappingProxyType({})
"""Nothing beside what every visitor has."""
REFUNDED = "refunded"
"""Name in `Visitor.extra`: minor units by currency that went back to the visitor."""


class Visitor(NamedTuple):
    """State of one visitor.

    `head` is the current session: `base` with the actions of `tail` applied in order. An event that comes
    late is inserted into the tail and `head` is computed again. `ended` says that the watermark passed the
    end of `head`. `timer_ms` is the deadline that stands in Redis (0: none). `seen` joins digests of applied
    event ids, oldest first; `orders` maps digests of order ids to the time of their earliest line, and those
    of other facts about orders to numbers (`stream.visitors.orders`), oldest first.
    `predictions` are what is expected of the visitor. `extra` has values by name: `REFUNDED`, and those that
    extensions keep.
    """

    totals: Totals
    base: Session | None
    head: Session
    tail: Tail
    ended: bool
    timer_ms: int
    seen: bytes
    orders: dict[bytes, int]
    predictions: Predictions = NO_PREDICTIONS
    extra: Mapping[str, Any] = NO_EXTRA


DIGEST_BYTES = 8

# Each makes its named tuple from a plain one with all fields in order, in half the time of calling the class.
action_of = partial(tuple.__new__, Action)
cart_line_of = partial(tuple.__new__, CartLine)
session_of = partial(tuple.__new__, Session)
totals_of = partial(tuple.__new__, Totals)
tail_of = partial(tuple.__new__, Tail)
visitor_of = partial(tuple.__new__, Visitor)


def digest_of(text: str) -> bytes:
    """The digest that stands for an event id or an order id in the state."""
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()


_pack = msgpack.Packer(use_bin_type=True).pack


def pack_actions(actions: Sequence[Action]) -> Tail:
    """A tail of actions, which must be sorted and not empty."""
    newest = actions[-1]
    packed = _pack(newest) if len(actions) == 1 else b"".join([_pack(action) for action in actions])
    return tail_of((packed, len(actions), newest[:3]))


def is_seen(seen: bytes, digest: bytes) -> bool:
    """Whether a digest is one of those joined in `seen`."""
    at = seen.find(digest)
    while at > 0 and at % DIGEST_BYTES:  # found across the border of two digests
        at = seen.find(digest, at + 1)
    return at >= 0


def pack_visitor(visitor: Visitor) -> bytes:
    """The blob of a visitor; named tuples become arrays."""
    plain = (*visitor[:-2], pack_predictions(visitor.predictions))
    watched = pack_watched(visitor.predictions.alert_state)
    extra = {**visitor.extra, WATCHED: watched} if watched else visitor.extra
    if extra:
        return bytes(_pack((FORMAT_WITH_EXTRA, *plain, extra)))
    return bytes(_pack((FORMAT, *plain)))


class PackVisitors(Protocol):
    """A way to make the blob of each visitor, byte for byte what `pack_visitor` makes."""

    def __call__(self, visitors: Iterable[Visitor]) -> list[bytes]: ...


def pack_visitors(visitors: Iterable[Visitor]) -> list[bytes]:
    """The blob of each visitor."""
    return [pack_visitor(visitor) for visitor in visitors]


def unpack_visitor(blob: bytes) -> Visitor:
    """The visitor in a blob; raises `LaterFormat`, or some other exception for what no version wrote."""
    fields: tuple[Any, ...] = msgpack.unpackb(blob, strict_map_key=False, use_list=False)
    if fields[0] == 1:
        fields = (*fields, (), NO_EXTRA)
    elif fields[0] in (2, FORMAT):
        fields = (*fields, NO_EXTRA)
    elif fields[0] != FORMAT_WITH_EXTRA:
        raise unknown_format(
            "visitor", fields[0] if len(fields) >= _FEWEST_FIELDS else None, FORMAT_WITH_EXTRA
        )
    _, totals, base, head, tail, ended, timer_ms, seen, orders, predictions, extra = fields
    if (
        (*map(type, fields[1:9]),) not in _SHAPES
        or (*map(type, head),) not in _SESSIONS
        or (*map(type, totals),) != _TOTALS
        or not len(totals[2]) == len(head[4]) == len(ACTION_TYPES)
        or len(tail) != _TAIL_FIELDS
        or len(tail[2]) != _LAST_FIELDS
    ):
        raise ValueError("a visitor blob has fields of the wrong type")
    known = unpack_predictions(predictions)
    if WATCHED in extra:
        known = known._replace(alert_state=put_watched(known.alert_state, extra[WATCHED]))
        extra = {name: value for name, value in extra.items() if name != WATCHED} or NO_EXTRA
    return Visitor(
        Totals(*totals),
        None if base is None else _session(base),
        _session(head),
        Tail(*tail),
        ended,
        timer_ms,
        seen,
        orders,
        known,
        extra,
    )


_TAIL_FIELDS, _LAST_FIELDS = 3, 3
_TOTALS = (int, int, tuple, int, dict)
_SESSIONS = frozenset((kind, int, int, int, tuple, int, dict, dict) for kind in (str, type(None)))
_SHAPES = frozenset((tuple, base, tuple, tuple, bool, int, bytes, dict) for base in (tuple, type(None)))
"""Types of the parts of a blob, as far as they can be looked at for each visitor that is read."""


def _session(fields: tuple[Any, ...]) -> Session:
    session = Session(*fields)
    if not session.cart:
        return session
    return session._replace(cart={product: CartLine(*line) for product, line in session.cart.items()})
