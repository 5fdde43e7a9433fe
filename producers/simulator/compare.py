"""The shape of a stream of events in a few figures, and several of them side by side."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table

from contracts.events import Event, EventType

IDLE_MS = 30 * 60_000
_QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Shape:
    """Figures of a stream. Shares are of events (`mix`) or of sessions; revenue is in major units."""

    events: int
    sessions: int
    mix: dict[str, float]
    session_mean: float
    session_quantiles: tuple[int, ...]
    of_one_event: float
    with_cart: float
    with_purchase: float
    cart_to_purchase: float
    gap_p50_s: float
    gap_p90_s: float
    lines_per_order: float
    revenue_per_purchase: float


@dataclass(slots=True)
class _Session:
    events: int = 0
    carts: int = 0
    purchases: int = 0
    last_ms: int = 0


def measure(events: Iterable[Event]) -> Shape:
    """The shape of events in time order; without session ids, a gap of 30 minutes ends a session."""
    types: Counter[str] = Counter()
    open_sessions: dict[str, _Session] = {}
    ended: list[_Session] = []
    gaps_ms: list[int] = []
    revenue_minor = 0
    for event in events:
        types[event.event_type.value] += 1
        if event.event_type is EventType.REFUND:
            continue  # no action of a visitor
        name = event.session_id or f"user {event.user_id}"
        session = open_sessions.get(name)
        if session is None or (event.session_id is None and event.event_time_ms - session.last_ms > IDLE_MS):
            session = open_sessions[name] = _Session()
            ended.append(session)
        else:
            gaps_ms.append(event.event_time_ms - session.last_ms)
        session.events += 1
        session.last_ms = event.event_time_ms
        session.carts += event.event_type is EventType.CART
        if event.event_type is EventType.PURCHASE:
            session.purchases += 1
            revenue_minor += (event.price_minor or 0) * event.quantity
    return _shape(types, ended, sorted(gaps_ms), revenue_minor)


def _shape(types: Counter[str], sessions: list[_Session], gaps_ms: list[int], revenue_minor: int) -> Shape:
    n_events, n_sessions = max(1, types.total()), max(1, len(sessions))
    lengths = sorted(session.events for session in sessions)
    bought = [session for session in sessions if session.purchases]
    carted = [session for session in sessions if session.carts]
    return Shape(
        events=types.total(),
        sessions=len(sessions),
        mix={kind.value: types[kind.value] / n_events for kind in EventType},
        session_mean=types.total() / n_sessions,
        session_quantiles=tuple(_quantile(lengths, q) for q in _QUANTILES),
        of_one_event=lengths.count(1) / n_sessions,
        with_cart=len(carted) / n_sessions,
        with_purchase=len(bought) / n_sessions,
        cart_to_purchase=sum(1 for s in carted if s.purchases) / max(1, len(carted)),
        gap_p50_s=_quantile(gaps_ms, 0.5) / 1_000,
        gap_p90_s=_quantile(gaps_ms, 0.9) / 1_000,
        lines_per_order=types["purchase"] / max(1, len(bought)),
        revenue_per_purchase=revenue_minor / 100 / max(1, types["purchase"]),
    )


def comparison_table(shapes: dict[str, Shape]) -> Table:
    """The figures of each named stream in a column of its own."""
    table = Table(title="Shape of the streams", title_justify="left")
    table.add_column("")
    for name in shapes:
        table.add_column(name, justify="right", overflow="fold")
    for label, figures in _rows(list(shapes.values())):
        table.add_row(label, *figures)
    return table


def _rows(shapes: list[Shape]) -> Iterable[tuple[str, list[str]]]:
    yield "events", [f"{s.events:,}" for s in shapes]
    yield "sessions", [f"{s.sessions:,}" for s in shapes]
    for kind in EventType:
        yield f"{kind.value}, share of events", [f"{s.mix[kind.value]:.1%}" for s in shapes]
    yield "events per session, mean", [f"{s.session_mean:.2f}" for s in shapes]
    for i, q in enumerate(_QUANTILES):
        yield f"events per session, p{q * 100:.0f}", [str(s.session_quantiles[i]) for s in shapes]
    yield "sessions of one event", [f"{s.of_one_event:.1%}" for s in shapes]
    yield "sessions with a cart", [f"{s.with_cart:.1%}" for s in shapes]
    yield "sessions with a purchase", [f"{s.with_purchase:.1%}" for s in shapes]
    yield "of those with a cart, bought", [f"{s.cart_to_purchase:.1%}" for s in shapes]
    yield "lines per buying session", [f"{s.lines_per_order:.2f}" for s in shapes]
    yield "seconds between events, p50", [f"{s.gap_p50_s:.1f}" for s in shapes]
    yield "seconds between events, p90", [f"{s.gap_p90_s:.1f}" for s in shapes]
    yield "revenue per purchase", [f"{s.revenue_per_purchase:.2f}" for s in shapes]


def _quantile(ordered: list[int], q: float) -> int:
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0
