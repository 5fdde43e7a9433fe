"""The pure session step: a visitor's state after some more actions, and after a deadline."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.events import EventType
from contracts.keys import Metric, bucket_start
from contracts.visitor import MAX_CART_LINES as MAX_CART_LINES
from contracts.visitor import Action, CartLine, Session, Tail, Totals, Visitor, pack_actions

CART, REMOVE, PURCHASE = (
    EventType.CART.rank,
    EventType.REMOVE_FROM_CART.rank,
    EventType.PURCHASE.rank,
)

KEEP_ACTIONS = 64
"""A visitor with at most this many actions has an exact state whatever the order of arrival."""
MAX_TAIL = 1_024
"""A visitor with more actions than this within the allowed disorder is a robot: older ones are settled."""
MAX_SEEN = 1_024
MAX_ORDERS = 256

SessionDeltas = Counter[tuple[int, str]]
"""(start of the minute in ms, `Metric`) to the change of a shop counter."""

Counts = tuple[int, int, int, int, int]
_NO_COUNTS: Counts = (0, 0, 0, 0, 0)
_NO_DELTAS: SessionDeltas = Counter()


@dataclass(frozen=True, slots=True)
class SessionRules:
    """A gap over `idle_ms` starts a new session; an event up to `disorder_ms` late fits in exactly."""

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
    session_id, number, start_ms, last_ms, counts_before, units, revenue, cart = session
    counts = list(counts_before)
    if len(actions) > 1 or actions[0].rank >= CART:
        revenue, cart = dict(revenue), dict(cart)
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
        totals = _add_totals(None, actions)
        fresh = Visitor(totals, None, head, pack_actions(actions), False, 0, b"", {})
        return _settle(fresh, rules), session_counts(closed, head, False, rules.idle_ms)
    if actions[0] > visitor.tail.last:
        return _extend(visitor, actions, rules)
    return _insert(visitor, actions, rules)


def _extend(visitor: Visitor, actions: list[Action], rules: SessionRules) -> tuple[Visitor, SessionDeltas]:
    totals, base, known, tail, ended, timer_ms, seen, orders = visitor
    head, closed = advance(known, actions, idle_ms=rules.idle_ms)
    added = pack_actions(actions)
    after = Visitor(
        _add_totals(totals, actions), base, head,
        Tail(tail.packed + added.packed, tail.size + added.size, added.last),
        False, timer_ms, seen, orders,
    )  # fmt: skip
    if after.tail.size > 2 * KEEP_ACTIONS:
        after = _settle(after, rules)
    if not closed and not ended:
        counts = known.counts
        for action in actions:
            if not counts[action.rank]:
                break
        else:
            return after, _NO_DELTAS  # the session did nothing it had not done before
    deltas = session_counts(closed, head, False, rules.idle_ms)
    deltas.subtract(session_counts([], known, ended, rules.idle_ms))
    return after, deltas


def _insert(visitor: Visitor, actions: list[Action], rules: SessionRules) -> tuple[Visitor, SessionDeltas]:
    base = visitor.base
    totals = _add_totals(visitor.totals, actions)
    if base is not None:
        actions = [action for action in actions if action.at_ms > base.last_ms]
    known_actions = visitor.tail.actions()
    _, closed_before = advance(base, known_actions, idle_ms=rules.idle_ms)
    in_order = sorted((*known_actions, *actions))
    head, closed = advance(base, in_order, idle_ms=rules.idle_ms)
    ended = visitor.ended and head.last_ms == visitor.head.last_ms
    deltas = session_counts(closed, head, ended, rules.idle_ms)
    deltas.subtract(session_counts(closed_before, visitor.head, visitor.ended, rules.idle_ms))
    after = visitor._replace(totals=totals, head=head, tail=pack_actions(in_order), ended=ended)
    return _settle(after, rules), deltas


def end_session(visitor: Visitor, *, idle_ms: int) -> tuple[Visitor, SessionDeltas]:
    """The visitor once the watermark has passed the end of the current session."""
    if visitor.ended:
        return visitor, _NO_DELTAS
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
        totals = Totals(actions[0].at_ms, actions[-1].at_ms, _NO_COUNTS, 0, {})
    first_ms, last_ms, counts_before, units, revenue = totals
    counts = list(counts_before)
    for action in actions:
        counts[action.rank] += 1
        if action.rank == PURCHASE:
            units += action.quantity
            if action.price_minor is not None and action.currency is not None:
                amount = action.price_minor * action.quantity
                revenue = revenue | {action.currency: revenue.get(action.currency, 0) + amount}
    if actions[0].at_ms < first_ms:
        first_ms = actions[0].at_ms
    if actions[-1].at_ms > last_ms:
        last_ms = actions[-1].at_ms
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


def _five(counts: list[int]) -> Counts:
    return tuple(counts)  # type: ignore[return-value]  # five before, five now
