"""The pure session step: a visitor's state after some more actions, and after a deadline."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.keys import Metric, bucket_start
from contracts.visitor import Action, CartLine, Session, Totals, Visitor

VIEW, FAVORITE, CART, REMOVE, PURCHASE = range(5)
"""Ranks of `contracts.visitor.ACTION_TYPES`."""

KEEP_ACTIONS = 64
"""A visitor with at most this many actions has an exact state whatever the order of arrival."""
MAX_TAIL = 1_024
"""A visitor with more actions than this within the allowed disorder is a robot: older ones are settled."""
MAX_CART_LINES = 200
MAX_SEEN = 1_024
MAX_ORDERS = 256

SessionDeltas = Counter[tuple[int, str]]
"""(start of the minute in ms, `Metric`) to the change of a shop counter."""

_NO_COUNTS = (0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class SessionRules:
    """What a session is: `idle_ms` starts a new one; `disorder_ms` is how late an event may come and fit in."""

    idle_ms: int
    disorder_ms: int


def advance(
    session: Session | None, actions: Sequence[Action], *, idle_ms: int
) -> tuple[Session, list[Session]]:
    """The session after `actions` (sorted, not empty) and the sessions that ended among them.

    A gap longer than `idle_ms` between two actions starts a new session; the cart lives on. A purchase takes
    its product out of the cart, a remove lowers its quantity.
    """
    if session is None:
        session = Session(None, 1, actions[0].at_ms, actions[0].at_ms, _NO_COUNTS, 0, {}, {})
    session_id, number, start_ms, last_ms, counts_before, units, revenue, cart_before = session
    counts, revenue, cart = list(counts_before), dict(revenue), dict(cart_before)
    ended: list[Session] = []
    for at_ms, rank, _, product, quantity, price, currency, _, _, given_id in actions:
        if at_ms - last_ms > idle_ms:
            ended.append(
                Session(session_id, number, start_ms, last_ms, _five(counts), units, revenue, dict(cart))
            )
            session_id, number, start_ms, units, revenue = None, number + 1, at_ms, 0, {}
            counts = [0, 0, 0, 0, 0]
        last_ms = at_ms
        counts[rank] += 1
        if given_id is not None:
            session_id = given_id
        if rank == CART:
            _add_line(cart, product, CartLine(quantity, price, currency, at_ms))
        elif rank == REMOVE:
            _lower_line(cart, product, quantity)
        elif rank == PURCHASE:
            cart.pop(product, None)
            units += quantity
            if price is not None and currency is not None:
                revenue[currency] = revenue.get(currency, 0) + price * quantity
    return Session(session_id, number, start_ms, last_ms, _five(counts), units, revenue, cart), ended


def absorb(
    visitor: Visitor | None, actions: list[Action], rules: SessionRules
) -> tuple[Visitor, SessionDeltas]:
    """The visitor after new actions (any order, none of them seen before), and the change of shop counters.

    Actions later than everything so far extend the current session. Others are inserted where they belong in
    time and the sessions since `base` are computed again, so the state is that of an arrival in order. Only
    an action older than what `base` has settled stays out of the sessions; the totals have it all the same.
    """
    actions.sort()
    if visitor is None:
        head, closed = advance(None, actions, idle_ms=rules.idle_ms)
        fresh = Visitor(_add_totals(None, actions), None, head, tuple(actions), False, 0, {}, {})
        return _settle(fresh, rules), session_counts(closed, head, False, rules.idle_ms)

    totals = _add_totals(visitor.totals, actions)
    if actions[0] > visitor.tail[-1]:
        known = [visitor.head]
        head, closed = advance(visitor.head, actions, idle_ms=rules.idle_ms)
        tail = (*visitor.tail, *actions)
    else:
        base = visitor.base
        if base is not None:
            actions = [action for action in actions if action.at_ms > base.last_ms]
        _, closed_before = advance(base, visitor.tail, idle_ms=rules.idle_ms)
        known = [*closed_before, visitor.head]
        tail = tuple(sorted((*visitor.tail, *actions)))
        head, closed = advance(base, tail, idle_ms=rules.idle_ms)
    ended = visitor.ended and head.last_ms == visitor.head.last_ms

    deltas: SessionDeltas = Counter()
    if closed or len(known) > 1 or visitor.ended or _reach(head) != _reach(visitor.head):
        deltas = session_counts(closed, head, ended, rules.idle_ms)
        deltas.subtract(session_counts(known[:-1], known[-1], visitor.ended, rules.idle_ms))
    after = visitor._replace(totals=totals, head=head, tail=tail, ended=ended)
    return _settle(after, rules), deltas


def end_session(visitor: Visitor, *, idle_ms: int) -> tuple[Visitor, SessionDeltas]:
    """The visitor once the watermark has passed the end of the current session."""
    if visitor.ended:
        return visitor, Counter()
    after = visitor._replace(ended=True, timer_ms=0)
    deltas = session_counts([], visitor.head, True, idle_ms)
    deltas.subtract(session_counts([], visitor.head, False, idle_ms))
    return after, deltas


def session_counts(closed: Iterable[Session], head: Session, head_ended: bool, idle_ms: int) -> SessionDeltas:
    """What these sessions add to the shop's counters.

    A session counts in the minute of its start; its end, and the cart left behind, in the minute it ended.
    """
    counts: SessionDeltas = Counter()
    for session in closed:
        _count_session(counts, session, True, idle_ms)
    _count_session(counts, head, head_ended, idle_ms)
    return counts


def _count_session(counts: SessionDeltas, session: Session, ended: bool, idle_ms: int) -> None:
    start = bucket_start(session.start_ms, "minute")
    viewed, carted, bought = _reach(session)[1:]
    counts[start, Metric.SESSIONS] += 1
    if viewed:
        counts[start, Metric.SESSIONS_VIEWED] += 1
    if carted:
        counts[start, Metric.SESSIONS_CARTED] += 1
    if bought:
        counts[start, Metric.SESSIONS_BOUGHT] += 1
    if ended:
        end = bucket_start(session.last_ms + idle_ms, "minute")
        counts[end, Metric.SESSIONS_ENDED] += 1
        if carted and not bought and session.cart:
            counts[end, Metric.CARTS_ABANDONED] += 1


def _reach(session: Session) -> tuple[int, bool, bool, bool]:
    """What of a session the shop's counters depend on while it is open."""
    views, favorites, carts, _, purchases = session.counts
    return session.start_ms, views + favorites > 0, carts > 0, purchases > 0


def _settle(visitor: Visitor, rules: SessionRules) -> Visitor:
    """Fold the oldest actions into `base` once the tail holds twice what is kept."""
    tail = visitor.tail
    if len(tail) <= 2 * KEEP_ACTIONS:
        return visitor
    open_ms = tail[-1].at_ms - rules.disorder_ms
    cut = len(tail) - KEEP_ACTIONS
    forced = max(0, len(tail) - MAX_TAIL)
    while cut > forced and tail[cut - 1].at_ms >= open_ms:
        cut -= 1
    if cut == 0:
        return visitor
    base, _ = advance(visitor.base, tail[:cut], idle_ms=rules.idle_ms)
    return visitor._replace(base=base, tail=tail[cut:])


def _add_totals(totals: Totals | None, actions: Sequence[Action]) -> Totals:
    if totals is None:
        totals = Totals(actions[0].at_ms, actions[-1].at_ms, _NO_COUNTS, 0, {})
    counts, units, revenue = list(totals.counts), totals.units, dict(totals.revenue_minor)
    for action in actions:
        counts[action.rank] += 1
        if action.rank == PURCHASE:
            units += action.quantity
            if action.price_minor is not None and action.currency is not None:
                amount = action.price_minor * action.quantity
                revenue[action.currency] = revenue.get(action.currency, 0) + amount
    first_ms = min(totals.first_ms, actions[0].at_ms)
    last_ms = max(totals.last_ms, actions[-1].at_ms)
    return Totals(first_ms, last_ms, _five(counts), units, revenue)


def _add_line(cart: dict[str, CartLine], product: str, line: CartLine) -> None:
    known = cart.get(product)
    if known is not None:
        price, currency = line.price_minor, line.currency
        if price is None:
            price, currency = known.price_minor, known.currency
        line = CartLine(known.quantity + line.quantity, price, currency, line.added_ms)
    elif len(cart) >= MAX_CART_LINES:
        del cart[next(iter(cart))]
    cart[product] = line


def _lower_line(cart: dict[str, CartLine], product: str, quantity: int) -> None:
    line = cart.get(product)
    if line is None:
        return
    if line.quantity > quantity:
        cart[product] = line._replace(quantity=line.quantity - quantity)
    else:
        del cart[product]


def _five(counts: list[int]) -> tuple[int, int, int, int, int]:
    views, favorites, carts, removes, purchases = counts
    return views, favorites, carts, removes, purchases
