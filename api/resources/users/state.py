"""One visitor's state as an answer: plain values in the shape of `schemas.VisitorState`, ready for JSON.

A model per action and amount would take longer to build than all else in the answer.
"""

from collections.abc import Mapping
from typing import Any

from contracts.events import format_minor
from contracts.visitor import ACTION_TYPES, REFUNDED, Action, CartLine, Session, Totals
from readers.answers import net_of
from readers.customers import Found
from readers.intervals import to_datetime
from readers.stream_time import StreamTime

_NAMES = tuple(event_type.value for event_type in ACTION_TYPES)

Fields = dict[str, Any]


def to_visitor_state(user_id: str, found: Found, time: StreamTime) -> Fields:
    """The answer of `/v1/users/{user_id}`; actions come newest first, times are aware datetimes."""
    visitor = found.visitor
    return {
        "as_of": to_datetime(time.as_of_ms),
        "mode": time.mode,
        "user_id": user_id,
        "visitor_id": found.visitor_id,
        "customer_id": found.customer_id,
        "session": _session(visitor.head, ended=visitor.ended),
        "cart": _cart(visitor.head.cart),
        "totals": _totals(visitor.totals, visitor.extra.get(REFUNDED, {})),
        "recent": [_action(action) for action in reversed(visitor.tail.actions())],
    }


def _session(session: Session, *, ended: bool) -> Fields:
    return {
        "session_id": session.session_id,
        "number": session.number,
        "started_at": to_datetime(session.start_ms),
        "last_event_at": to_datetime(session.last_ms),
        "ended": ended,
        "counts": _counts(session.counts),
        "units_bought": session.units,
        "revenue": _amounts(session.revenue_minor),
    }


def _cart(lines: Mapping[str, CartLine]) -> Fields:
    value: dict[str, int] = {}
    for line in lines.values():
        if line.price_minor is not None and line.currency is not None:
            value[line.currency] = value.get(line.currency, 0) + line.quantity * line.price_minor
    return {
        "lines": [
            {
                "product_id": product_id,
                "quantity": line.quantity,
                "unit_price": _amount(line.price_minor, line.currency, times=1),
                "value": _amount(line.price_minor, line.currency, times=line.quantity),
                "added_at": to_datetime(line.added_ms),
            }
            for product_id, line in sorted(lines.items(), key=lambda item: (item[1].added_ms, item[0]))
        ],
        "units": sum(line.quantity for line in lines.values()),
        "value": _amounts(value),
    }


def _totals(totals: Totals, refunded: Mapping[str, int]) -> Fields:
    return {
        "first_event_at": to_datetime(totals.first_ms),
        "last_event_at": to_datetime(totals.last_ms),
        "counts": _counts(totals.counts),
        "units_bought": totals.units,
        "revenue": _amounts(totals.revenue_minor),
        "refunded": _amounts(refunded),
        "net_revenue": _amounts(net_of(totals.revenue_minor, refunded)),
    }


def _action(action: Action) -> Fields:
    at_ms, rank, _, product_id, quantity, price_minor, currency, category, brand, session_id = action
    return {
        "at": to_datetime(at_ms),
        "event_type": _NAMES[rank],
        "product_id": product_id or None,
        "quantity": quantity,
        "unit_price": _amount(price_minor, currency, times=1),
        "category": category,
        "brand": brand,
        "session_id": session_id,
    }


def _counts(counts: tuple[int, ...]) -> Fields:
    return dict(zip(_NAMES, counts, strict=True))


def _amount(price_minor: int | None, currency: str | None, *, times: int) -> Fields | None:
    if price_minor is None or currency is None:
        return None
    minor = price_minor * times
    return {"currency": currency, "amount_minor": minor, "amount": format_minor(minor, currency)}


def _amounts(minor_of: Mapping[str, int]) -> list[Fields]:
    """One amount per currency, in the order of the codes."""
    return [
        {"currency": code, "amount_minor": minor, "amount": format_minor(minor, code)}
        for code, minor in sorted(minor_of.items())
    ]
