"""The pure session step."""

from contracts.buckets import Metric
from contracts.carts import MAX_CART_LINES
from contracts.visitor import Action, Visitor
from shoppers import NOW_MS, make_action
from stream.visitors.session import (
    KEEP_ACTIONS,
    SessionSettings,
    absorb,
    advance,
    end_session,
)

IDLE_MS = 30 * 60_000
RULES = SessionSettings(idle_ms=IDLE_MS, disorder_ms=60_000)


def absorbed(*batches: list[Action]) -> tuple[Visitor, dict[str, int]]:
    visitor: Visitor | None = None
    counts: dict[str, int] = {}
    for batch in batches:
        visitor, deltas = absorb(visitor, list(batch), RULES)
        for (_, metric), change in deltas.items():
            counts[metric] = counts.get(metric, 0) + change
    assert visitor is not None
    return visitor, counts


def test_a_gap_longer_than_idle_starts_a_new_session() -> None:
    head, closed = advance(None, [make_action("view", 0), make_action("view", 1801)], idle_ms=IDLE_MS)
    assert [s.start_ms for s in closed] == [NOW_MS]
    assert (head.number, head.start_ms, head.counts) == (2, NOW_MS + 1_801_000, (1, 0, 0, 0, 0))


def test_a_gap_of_exactly_idle_goes_on_with_the_session() -> None:
    head, closed = advance(None, [make_action("view", 0), make_action("view", 1800)], idle_ms=IDLE_MS)
    assert not closed
    assert head.counts == (2, 0, 0, 0, 0)


def test_the_cart_grows_shrinks_and_empties_by_purchase() -> None:
    actions = [
        make_action("cart", 0, "a", quantity=2),
        make_action("cart", 1, "a"),
        make_action("cart", 2, "b"),
        make_action("cart", 3, "c"),
        make_action("remove_from_cart", 4, "a"),
        make_action("remove_from_cart", 5, "b"),
        make_action("purchase", 6, "c", quantity=3, price=250),
    ]
    head, _ = advance(None, actions, idle_ms=IDLE_MS)
    assert {product: line.quantity for product, line in head.cart.items()} == {"a": 2}
    assert (head.units, head.revenue_minor) == (3, {"EUR": 750})


def test_the_cart_outlives_the_session() -> None:
    head, closed = advance(None, [make_action("cart", 0, "a"), make_action("view", 4000)], idle_ms=IDLE_MS)
    assert "a" in head.cart
    assert "a" in closed[0].cart


def test_a_remove_before_any_add_changes_no_cart() -> None:
    head, _ = advance(None, [make_action("remove_from_cart", 0, "a")], idle_ms=IDLE_MS)
    assert head.cart == {}
    assert head.counts == (0, 0, 0, 1, 0)


def test_a_robots_cart_is_bounded() -> None:
    actions = [make_action("cart", i, f"p{i}") for i in range(MAX_CART_LINES + 5)]
    head, _ = advance(None, actions, idle_ms=IDLE_MS)
    assert len(head.cart) == MAX_CART_LINES
    assert "p4" not in head.cart


def test_a_late_event_gives_the_state_of_an_arrival_in_order() -> None:
    add, remove, view = make_action("cart", 0), make_action("remove_from_cart", 10), make_action("view", 20)
    in_order, _ = absorbed([add, remove, view])
    late_add, _ = absorbed([remove, view], [add])
    assert late_add == in_order
    assert late_add.head.cart == {}


def test_a_late_event_joins_two_sessions_into_one() -> None:
    first, last, between = make_action("view", 0), make_action("view", 3000), make_action("view", 1500)
    apart, counts = absorbed([first], [last])
    assert (apart.head.number, counts[Metric.SESSIONS]) == (2, 2)
    joined, counts = absorbed([first], [last], [between])
    assert (joined.head.number, joined.head.start_ms) == (1, NOW_MS)
    assert counts[Metric.SESSIONS] == 1
    assert counts[Metric.SESSIONS_ENDED] == 0


def test_the_end_of_a_session_is_counted_once() -> None:
    visitor, _ = absorbed([make_action("cart", 0)])
    ended, deltas = end_session(visitor, idle_ms=IDLE_MS)
    assert {metric: n for (_, metric), n in deltas.items() if n} == {
        Metric.SESSIONS_ENDED: 1,
        Metric.CARTS_ABANDONED: 1,
    }
    assert end_session(ended, idle_ms=IDLE_MS) == (ended, {})
    _, deltas = absorb(ended, [make_action("view", 4000)], RULES)
    assert {metric: n for (_, metric), n in deltas.items() if n} == {
        Metric.SESSIONS: 1,
        Metric.SESSIONS_VIEWED: 1,
    }


def test_a_late_purchase_takes_back_the_abandoned_cart() -> None:
    visitor, _ = absorbed([make_action("cart", 0), make_action("view", 60)])
    ended, _ = end_session(visitor, idle_ms=IDLE_MS)
    after, deltas = absorb(ended, [make_action("purchase", 30)], RULES)
    assert after.head.cart == {}
    assert {metric: n for (_, metric), n in deltas.items() if n} == {
        Metric.SESSIONS_BOUGHT: 1,
        Metric.CARTS_ABANDONED: -1,
    }


def test_the_tail_is_settled_and_the_sessions_stay_the_same() -> None:
    actions = [make_action("cart" if i % 3 else "view", i * 20, f"p{i % 7}") for i in range(500)]
    visitor: Visitor | None = None
    for action in actions:
        visitor, _ = absorb(visitor, [action], RULES)
    assert visitor is not None
    assert KEEP_ACTIONS <= visitor.tail.size <= 2 * KEEP_ACTIONS
    assert visitor.base is not None
    assert visitor.head == advance(None, actions, idle_ms=IDLE_MS)[0]


def test_an_action_older_than_what_is_settled_counts_in_the_totals_only() -> None:
    actions = [make_action("view", 1_000 + i * 20) for i in range(200)]
    visitor, _ = absorb(None, actions, RULES)
    after, deltas = absorb(visitor, [make_action("purchase", 0, price=500)], RULES)
    assert after.head == visitor.head
    assert not any(deltas.values())
    assert after.totals.revenue_minor == {"EUR": 500}
    assert after.totals.first_ms == NOW_MS
