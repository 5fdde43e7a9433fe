"""One visitor's state as an answer."""

from api import schemas
from api.intervals import to_datetime
from api.stream_time import StreamTime
from contracts.visitor import ACTION_TYPES, Action, CartLine, Session, Totals, Visitor


def to_visitor_state(user_id: str, visitor: Visitor, time: StreamTime) -> schemas.VisitorState:
    """The answer of `/v1/users/{user_id}`; actions come newest first."""
    return schemas.VisitorState(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        user_id=user_id,
        session=_session(visitor.head, ended=visitor.ended),
        cart=_cart(visitor.head.cart),
        totals=_totals(visitor.totals),
        recent=[_action(action) for action in reversed(visitor.tail.actions())],
    )


def _session(session: Session, *, ended: bool) -> schemas.Session:
    return schemas.Session(
        session_id=session.session_id,
        number=session.number,
        started_at=to_datetime(session.start_ms),
        last_event_at=to_datetime(session.last_ms),
        ended=ended,
        counts=_counts(session.counts),
        units_bought=session.units,
        revenue=schemas.to_money(session.revenue_minor),
    )


def _cart(lines: dict[str, CartLine]) -> schemas.Cart:
    value: dict[str, int] = {}
    for line in lines.values():
        if line.price_minor is not None and line.currency is not None:
            value[line.currency] = value.get(line.currency, 0) + line.quantity * line.price_minor
    return schemas.Cart(
        lines=[
            schemas.CartLine(
                product_id=product_id,
                quantity=line.quantity,
                unit_price=_money(line.price_minor, line.currency, times=1),
                value=_money(line.price_minor, line.currency, times=line.quantity),
                added_at=to_datetime(line.added_ms),
            )
            for product_id, line in sorted(lines.items(), key=lambda item: (item[1].added_ms, item[0]))
        ],
        units=sum(line.quantity for line in lines.values()),
        value=schemas.to_money(value),
    )


def _totals(totals: Totals) -> schemas.VisitorTotals:
    return schemas.VisitorTotals(
        first_event_at=to_datetime(totals.first_ms),
        last_event_at=to_datetime(totals.last_ms),
        counts=_counts(totals.counts),
        units_bought=totals.units,
        revenue=schemas.to_money(totals.revenue_minor),
    )


def _action(action: Action) -> schemas.Action:
    return schemas.Action(
        at=to_datetime(action.at_ms),
        event_type=ACTION_TYPES[action.rank],
        product_id=action.product_id,
        quantity=action.quantity,
        unit_price=_money(action.price_minor, action.currency, times=1),
        category=action.category,
        brand=action.brand,
        session_id=action.session_id,
    )


def _counts(counts: tuple[int, ...]) -> schemas.ActionCounts:
    by_type = {event_type.value: count for event_type, count in zip(ACTION_TYPES, counts, strict=True)}
    return schemas.ActionCounts(**by_type)


def _money(price_minor: int | None, currency: str | None, *, times: int) -> schemas.Money | None:
    if price_minor is None or currency is None:
        return None
    return schemas.to_money({currency: price_minor * times})[0]
