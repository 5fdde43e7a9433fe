"""Which sessions of a batch's visitors are to be written, what each is, and what is told of products.

What is written of a session is a function of the visitor's state, so a log that is read again comes to the
same. It is written when it ends, and while it goes on, since what is viewed together now should be known now:
whenever its number of actions passes a power of two, and with every add to a cart and every purchase. After a
late event all sessions are written that the state still knows.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgpack

from contracts.carts import CART, PURCHASE
from contracts.sessions import BOUGHT, CARTED, StoredSession, pack_session, session_field, stored_session
from contracts.visitor import Action, Visitor
from stream.visitors.session import KEEP_ACTIONS

FEWEST_ITEMS = 2
"""A session with fewer products, of which none was put into the cart or bought, says nothing to anybody."""


class Seen(NamedTuple):
    """What an action told of its product, and its time.

    `facts` are price (minor units), currency, category and brand in MessagePack, as a tail has them.
    """

    at_ms: int
    facts: bytes


class DueSessions(NamedTuple):
    """What a batch writes: visitor, field and blob of each session, fields to be removed, products as seen.

    `seen` has products of which an action tells something else than what is known, as the newest tells it.
    """

    user_ids: list[str]
    fields: list[str]
    blobs: list[bytes]
    removed: dict[str, list[str]]
    seen: dict[str, Seen]


def due_sessions(
    visitors: Mapping[str, Visitor],
    before: Mapping[str, Visitor | None],
    known: Mapping[str, Seen],
    idle_ms: int,
) -> DueSessions:
    """What is due of visitors after a batch or after their deadlines; `known` are products as seen before."""
    due = DueSessions([], [], [], {}, {})
    for user_id, visitor in visitors.items():
        take_visitor(due, user_id, visitor, before.get(user_id), known, idle_ms)
    return due


def take_visitor(
    due: DueSessions,
    user_id: str,
    visitor: Visitor,
    before: Visitor | None,
    known: Mapping[str, Seen],
    idle_ms: int,
) -> None:
    """Add what is due of one visitor."""
    head = visitor.head
    n_before, is_late = 0, False
    if before is not None:
        n_before, is_late = before.head.number, not _extends(visitor, before)
    if not is_late and head.number == (n_before or 1):
        if not _is_due(visitor, before):
            return
        sessions = {head.number: (head.start_ms, _newest_actions(visitor))}
    else:
        first = 0 if is_late else n_before
        sessions = {
            number: (start_ms, actions)
            for number, start_ms, actions in _split(visitor, idle_ms)
            if number >= first
        }
    gone = list(range(head.number + 1, n_before + 1))
    for number, (start_ms, actions) in sessions.items():
        _see(due, actions, known)
        session = stored_session(start_ms, actions)
        if _is_kept(session):
            due.user_ids.append(user_id)
            due.fields.append(session_field(number))
            due.blobs.append(pack_session(session))
        elif is_late:
            gone.append(number)
    if gone:
        due.removed[user_id] = [session_field(number) for number in gone]


def _extends(visitor: Visitor, before: Visitor) -> bool:
    """Whether the tail only grew at its end."""
    return visitor.base is before.base and visitor.tail.packed.startswith(before.tail.packed)


def _is_due(visitor: Visitor, before: Visitor | None) -> bool:
    """Whether the current session, which went on in order, is due."""
    counts = visitor.head.counts
    if before is None:
        return sum(counts) > 1 or counts[CART] > 0 or counts[PURCHASE] > 0
    known = before.head.counts
    return (
        sum(counts).bit_length() > max(1, sum(known).bit_length())
        or counts[CART] > known[CART]
        or counts[PURCHASE] > known[PURCHASE]
        or (visitor.ended and not before.ended)
    )


def _is_kept(session: StoredSession) -> bool:
    return len(session.items) >= FEWEST_ITEMS or any(bits & (CARTED | BOUGHT) for bits in session.actions)


def _newest_actions(visitor: Visitor) -> list[Action]:
    """The newest actions of the current session, at most `KEEP_ACTIONS`: so many every state has."""
    return visitor.tail.actions()[-min(sum(visitor.head.counts), KEEP_ACTIONS) :]


def _split(visitor: Visitor, idle_ms: int) -> Iterator[tuple[int, int, list[Action]]]:
    """Number, start and newest actions of the sessions of which the state knows all actions, or enough."""
    base = visitor.base
    number, start_ms, last_ms = (0, 0, 0) if base is None else (base.number, base.start_ms, base.last_ms)
    is_whole, actions = False, list[Action]()
    for action in visitor.tail.actions():
        if not number or action.at_ms - last_ms > idle_ms:
            if is_whole or len(actions) >= KEEP_ACTIONS:
                yield number, start_ms, actions[-KEEP_ACTIONS:]
            number, start_ms, is_whole, actions = number + 1, action.at_ms, True, []
        actions.append(action)
        last_ms = action.at_ms
    if is_whole or len(actions) >= KEEP_ACTIONS:
        yield number, start_ms, actions[-KEEP_ACTIONS:]


def _see(due: DueSessions, actions: list[Action], known: Mapping[str, Seen]) -> None:
    """Note what actions tell of their products, if that is newer and something else than known."""
    for at_ms, _, _, product_id, _, price_minor, currency, category, brand, _ in actions:
        if product_id:
            facts = pack_facts(price_minor, currency, category, brand)
            held = due.seen.get(product_id) or known.get(product_id)
            if held is None or (held.facts != facts and at_ms > held.at_ms):
                due.seen[product_id] = Seen(at_ms, facts)


_pack = msgpack.Packer(use_bin_type=True).pack


def pack_facts(
    price_minor: int | None, currency: str | None, category: str | None, brand: str | None
) -> bytes:
    """See `Seen.facts`."""
    return b"".join(map(_pack, (price_minor, currency, category, brand)))
