"""Whether a visitor's state is one: all of it is looked at, which takes longer than reading it."""

from itertools import pairwise

from contracts.alerts import encode_alert
from contracts.currencies import MINOR_DIGITS
from contracts.logins import LOGIN, Login, login_of
from contracts.shapes import fits
from contracts.visitor import ACTION_TYPES, DIGEST_BYTES, REFUNDED, Action, Visitor
from contracts.visitor_refunds import VisitorRefund, refunds_of


def check_visitor(visitor: Visitor) -> None:
    """Raises `ValueError`, or another exception, for a visitor with anything in it that no version wrote."""
    if not fits(visitor, Visitor):
        raise ValueError("a visitor has fields of the wrong type")
    actions = visitor.tail.actions()
    if not all(fits(one, Action) and _is_possible(one) for one in actions):
        raise ValueError("a visitor has actions with fields of the wrong type")
    if any(later[:3] < earlier[:3] for earlier, later in pairwise(actions)):
        raise ValueError("a visitor has actions out of time order")
    if min(visitor.head.counts) < 0 or any(line.quantity < 0 for line in visitor.head.cart.values()):
        raise ValueError("a visitor has impossible counts")
    if not actions or actions[-1][:3] != visitor.tail.last or len(visitor.seen) % DIGEST_BYTES:
        raise ValueError("a visitor has truncated digests or actions")
    refunded, refunds = visitor.extra.get(REFUNDED, {}), refunds_of(visitor)
    if not fits(refunded, dict[str, int]) or not fits((*refunds,), tuple[VisitorRefund, ...]):
        raise ValueError("a visitor has refunds of the wrong type")
    if LOGIN in visitor.extra and not fits(login_of(visitor), Login):
        raise ValueError("a visitor has a login of the wrong type")
    money = [*visitor.totals.revenue_minor, *visitor.head.revenue_minor, *refunded]
    money += [currency for one in refunds for currency in (*one.taken, one.currency or "EUR")]
    money += [one.currency or "EUR" for one in actions]
    money += [line.currency or "EUR" for line in visitor.head.cart.values()]
    if not MINOR_DIGITS.keys() >= set(money):
        raise ValueError("a visitor has an amount without a currency")
    for alert in visitor.predictions.alert_state.open:
        encode_alert(alert)


def _is_possible(action: Action) -> bool:
    return (
        0 <= action.rank < len(ACTION_TYPES)
        and action.quantity > 0
        and (action.price_minor is None or action.price_minor >= 0)
    )
