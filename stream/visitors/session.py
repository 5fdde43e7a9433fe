"""The pure session step: a visitor's state after some more actions, and after a deadline."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.carts import CART, PURCHASE, change_cart
from contracts.events import EventType
from contracts.numbers import MAX_SUM_MINOR
from contracts.predictions import NO_PREDICTIONS
from contracts.visitor import (
    DIGEST_BYTES,
    NO_EXTRA,
    Action,
    Session,
    Totals,
    Visitor,
    pack_actions,
    session_of,
    tail_of,
    totals_of,
    visitor_of,
)
from stream.visitors.session_counts import SessionDeltas, difference, session_counts

VIEW, FAVORITE = EventType.VIEW.rank, EventType.FAVORITE.rank

KEEP_ACTIONS = 64
"""A visitor with at most this many actions has an exact state whatever the order of arrival."""
MAX_TAIL = 1_024
"""A visitor with more actions than this within the allowed disorder is a robot: older ones are settled."""
MAX_SEEN_BYTES = 1_024 * DIGEST_BYTES

Counts = tuple[int, int, int, int, int]
_NO_COUNTS: Counts = (0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """A gap over `idle_ms` starts a new session; an event up to `disorder_ms` late fits in exactly."""

    idle_ms: int
    disorder_ms: int


def advance(
    session: Session | None, actions: Sequence[Action], *, idle_ms: int
) -> tuple[Session, list[Session]]:
    """The session after `actions` (sorted, not empty) and the sessions that ended among them.

    A gap longer than `idle_ms` between two actions starts a new session; the cart lives on (`change_cart`).
    """
    if session is None:
        session = session_of((None, 1, actions[0].at_ms, actions[0].at_ms, _NO_COUNTS, 0, {}, {}))
    session_id, number, start_ms, last_ms, counts_before, units, revenue, cart = session
    counts = list(counts_before)
    if len(actions) > 1 or actions[0].rank >= CART:
        revenue, cart = dict(revenue), dict(cart)
    ended: list[Session] = []
    for at_ms, rank, _, product, quantity, price, currency, _, _, given_id in actions:
        if at_ms - last_ms > idle_ms:
            ended.append(
                session_of((session_id, number, start_ms, last_ms, tuple(counts), units, revenue, dict(cart)))
            )
            session_id, number, start_ms, units, revenue = None, number + 1, at_ms, 0, {}
            counts = [0, 0, 0, 0, 0]
        last_ms = at_ms
        counts[rank] += 1
        if given_id is not None:
            session_id = given_id
        if rank >= CART:
            change_cart(cart, at_ms, rank, product, quantity, price, currency)
        if rank == PURCHASE:
            units += quantity if product else 0
            if price is not None and currency is not None:
                revenue[currency] = min(revenue.get(currency, 0) + price * quantity, MAX_SUM_MINOR)
    return session_of((session_id, number, start_ms, last_ms, tuple(counts), units, revenue, cart)), ended


def absorb(
    visitor: Visitor | None, actions: list[Action], rules: SessionSettings
) -> tuple[Visitor, SessionDeltas]:
    """The visitor after new actions (any order, none of them seen before), and the change of shop counters.

    Actions later than everything so far extend the current session. Others are inserted where they belong in
    time and the sessions since `base` are computed again, so the state is that of an arrival in order. Only
    an action older than what `base` has settled stays out of the sessions; the totals have it all the same.
    """
    if len(actions) > 1:
        actions.sort()
    if visitor is None:
        head, closed = advance(None, actions, idle_ms=rules.idle_ms)
        totals = _add_totals(None, actions)
        fresh = visitor_of(
            (totals, None, head, pack_actions(actions), False, 0, b"", {}, NO_PREDICTIONS, NO_EXTRA)
        )
        return settle(fresh, rules), session_counts(closed, head, False, rules.idle_ms)
    if actions[0] > visitor.tail.last:
        return _extend(visitor, actions, rules)
    return _insert(visitor, actions, rules)


def _extend(visitor: Visitor, actions: list[Action], rules: SessionSettings) -> tuple[Visitor, SessionDeltas]:
    totals, base, known, (packed, size, _), ended, timer_ms, seen, orders, predictions, extra = visitor
    closed: list[Session] = []
    browsed = _browse(totals, known, actions, rules.idle_ms)
    if browsed is not None:
        totals, head = browsed
    else:
        totals = _add_totals(totals, actions)
        head, closed = advance(known, actions, idle_ms=rules.idle_ms)
    added = pack_actions(actions)
    tail = tail_of((packed + added.packed, size + added.size, added.last))
    after = visitor_of((totals, base, head, tail, False, timer_ms, seen, orders, predictions, extra))
    if tail.size > 2 * KEEP_ACTIONS:
        after = settle(after, rules)
    if not closed and not ended and _reach(known) == _reach(head):
        return after, {}  # the session did nothing it had not done before
    before = session_counts([], known, ended, rules.idle_ms)
    return after, difference(session_counts(closed, head, False, rules.idle_ms), before)


def _browse(
    totals: Totals, head: Session, actions: list[Action], idle_ms: int
) -> tuple[Totals, Session] | None:
    """Totals and session after views and favorites within the session; None for anything else.

    These are nine of ten events, and they change neither cart nor money. The outcome is what `_add_totals`
    and `advance` would say.
    """
    session_id, number, start_ms, known_ms, counts, units, revenue, cart = head
    last_ms = actions[-1].at_ms
    if last_ms - known_ms > idle_ms:
        return None
    viewed = favored = 0
    for _, rank, _, _, _, _, _, _, _, given_id in actions:
        if rank == VIEW:
            viewed += 1
        elif rank == FAVORITE:
            favored += 1
        else:
            return None
        if given_id is not None:
            session_id = given_id
    views, favorites, carts, removes, purchases = counts
    counts = (views + viewed, favorites + favored, carts, removes, purchases)
    session = session_of((session_id, number, start_ms, last_ms, counts, units, revenue, cart))
    first_ms, _, (views, favorites, carts, removes, purchases), units, revenue = totals
    counts = (views + viewed, favorites + favored, carts, removes, purchases)
    return totals_of((first_ms, last_ms, counts, units, revenue)), session


def _reach(session: Session) -> tuple[bool, bool, bool]:
    """How far a session came: what of it the shop's counters depend on while it is open."""
    views, favorites, carts, _, purchases = session.counts
    return views + favorites > 0, carts > 0, purchases > 0


def _insert(visitor: Visitor, actions: list[Action], rules: SessionSettings) -> tuple[Visitor, SessionDeltas]:
    base = visitor.base
    totals = _add_totals(visitor.totals, actions)
    if base is not None:
        actions = [action for action in actions if action.at_ms > base.last_ms]
    known_actions = visitor.tail.actions()
    _, closed_before = advance(base, known_actions, idle_ms=rules.idle_ms)
    in_order = sorted((*known_actions, *actions))
    head, closed = advance(base, in_order, idle_ms=rules.idle_ms)
    ended = visitor.ended and head.last_ms == visitor.head.last_ms
    before = session_counts(closed_before, visitor.head, visitor.ended, rules.idle_ms)
    deltas = difference(session_counts(closed, head, ended, rules.idle_ms), before)
    after = visitor._replace(totals=totals, head=head, tail=pack_actions(in_order), ended=ended)
    return settle(after, rules), deltas


def end_session(visitor: Visitor, *, idle_ms: int) -> tuple[Visitor, SessionDeltas]:
    """The visitor once the watermark has passed the end of the current session."""
    if visitor.ended:
        return visitor, {}
    before, after = (session_counts([], visitor.head, ended, idle_ms) for ended in (False, True))
    return visitor._replace(ended=True, timer_ms=0), difference(after, before)


def settle(visitor: Visitor, rules: SessionSettings) -> Visitor:
    """Fold the oldest actions into `base` once the tail holds twice what is kept."""
    if visitor.tail.size <= 2 * KEEP_ACTIONS:
        return visitor
    actions = visitor.tail.actions()
    open_ms = actions[-1].at_ms - rules.disorder_ms
    cut = len(actions) - KEEP_ACTIONS
    forced = max(0, len(actions) - MAX_TAIL)
    while cut > forced and actions[cut - 1].at_ms >= open_ms:
        cut -= 1
    if cut == 0:
        return visitor
    base, _ = advance(visitor.base, actions[:cut], idle_ms=rules.idle_ms)
    return visitor._replace(base=base, tail=pack_actions(actions[cut:]))


def _add_totals(totals: Totals | None, actions: Sequence[Action]) -> Totals:
    if totals is None:
        totals = totals_of((actions[0].at_ms, actions[-1].at_ms, _NO_COUNTS, 0, {}))
    first_ms, last_ms, counts_before, units, revenue = totals
    counts = list(counts_before)
    for action in actions:
        counts[action.rank] += 1
        if action.rank == PURCHASE:
            units += action.quantity if action.product_id else 0
            if action.price_minor is not None and action.currency is not None:
                amount = revenue.get(action.currency, 0) + action.price_minor * action.quantity
                revenue = revenue | {action.currency: min(amount, MAX_SUM_MINOR)}
    if actions[0].at_ms < first_ms:
        first_ms = actions[0].at_ms
    if actions[-1].at_ms > last_ms:
        last_ms = actions[-1].at_ms
    return totals_of((first_ms, last_ms, tuple(counts), units, revenue))
