"""What lowers a visitor's chance of a purchase, in words that hold for this visitor at this moment."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from contracts.events import EventType
from contracts.reasons import REASON_WORDS
from contracts.visitor import Action, Session
from stream.alerts.offers import describe_cart
from stream.alerts.rules import VisitorView

FAVORITE, REMOVE, PURCHASE = (
    EventType.FAVORITE.rank,
    EventType.REMOVE_FROM_CART.rank,
    EventType.PURCHASE.rank,
)
LONG_SESSION_MS, LONG_SESSION_ACTIONS = 10 * 60_000, 15
"""A session that lasts this long, or has this many actions, is a long one."""
LONG_PAUSE_MS = 60_000


class _Moment(NamedTuple):
    """The session at a moment. `actions` are all of the session, or none where not all are known."""

    session: Session
    actions: Sequence[Action]
    at_ms: int
    currency: str


def say_grounds(
    view: VisitorView, reasons: Iterable[tuple[str, float]], *, at_ms: int, currency: str, limit: int
) -> tuple[str, ...]:
    """What lowers the chance, strongest first, each said once, at most `limit` of them.

    `reasons` are codes of a score with their effects: of these the words speak. A code is left out where
    nothing that is true of the visitor can be said of it, such as the age of a cart that is empty.
    """
    session = view.session
    moment = _Moment(session, _actions_of(view), at_ms, currency)
    lowering = sorted((effect, code) for code, effect in reasons if effect < 0)
    said = [_say(code, moment) for _, code in lowering]
    return tuple(dict.fromkeys(words for words in said if words))[:limit]


def _say(code: str, moment: _Moment) -> str:
    say = _WORDS.get(code)
    return REASON_WORDS.get(code, code.replace("_", " ")) if say is None else say(moment)


def _actions_of(view: VisitorView) -> Sequence[Action]:
    if view.tail is None:
        return ()
    session = view.session
    actions = [a for a in view.tail.actions() if session.start_ms <= a.at_ms <= session.last_ms]
    return actions if len(actions) == sum(session.counts) else ()


def _activity(moment: _Moment) -> str:
    session, n_actions = moment.session, sum(moment.session.counts)
    is_long = session.last_ms - session.start_ms >= LONG_SESSION_MS or n_actions >= LONG_SESSION_ACTIONS
    if is_long and not session.counts[PURCHASE]:
        return "long session without a purchase"
    return f"{_count(n_actions, 'action')} so far"


def _pause(moment: _Moment) -> str:
    times_ms = [action.at_ms for action in moment.actions[-2:]]
    if len(times_ms) < 2 or times_ms[1] - times_ms[0] < LONG_PAUSE_MS:
        return ""
    return f"{_say_span(times_ms[1] - times_ms[0])} between the last two actions"


def _favorites(moment: _Moment) -> str:
    number = moment.session.counts[FAVORITE]
    return f"{_count(number, 'product')} marked as a favourite" if number else "no favourites marked"


def _cart(moment: _Moment) -> str:
    cart = moment.session.cart
    return describe_cart(cart, moment.currency) if cart else "nothing in the cart"


def _cart_age(moment: _Moment) -> str:
    cart = moment.session.cart
    if not cart:
        return ""
    waited_ms = moment.at_ms - max(line.added_ms for line in cart.values())
    return f"last added to the cart {_say_span(waited_ms)} ago" if waited_ms >= LONG_PAUSE_MS else ""


def _removed(moment: _Moment) -> str:
    return "a product was removed from the cart" if moment.session.counts[REMOVE] else ""


def _bought(moment: _Moment) -> str:
    return "" if moment.session.counts[PURCHASE] else "no purchase in this session"


def _same_product(moment: _Moment) -> str:
    if not moment.actions:
        return ""
    times = Counter(action.product_id for action in moment.actions)[moment.actions[-1].product_id]
    return (
        f"{times} actions on the same product" if times > 1 else "first view of this product in this session"
    )


def _same_kind(moment: _Moment) -> str:
    categories = {action.category for action in moment.actions if action.category}
    return f"viewed {len(categories)} categories" if len(categories) > 1 else ""


def _history(moment: _Moment) -> str:
    number = moment.session.number
    return "first visit" if number == 1 else f"visit number {number:,}"


def _say_span(span_ms: int) -> str:
    """In one unit, rounded down."""
    for unit_ms, unit in ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")):
        if span_ms >= unit_ms:
            return _count(span_ms // unit_ms, unit)
    return _count(max(0, span_ms) // 1_000, "second")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_WORDS: dict[str, Callable[[_Moment], str]] = {
    "activity": _activity,
    "pause": _pause,
    "favorites": _favorites,
    "cart": _cart,
    "cart_value": _cart,
    "cart_age": _cart_age,
    "removed": _removed,
    "bought": _bought,
    "same_product": _same_product,
    "same_kind": _same_kind,
    "history": _history,
}
"""By the code of the reason; others are said in general words."""
