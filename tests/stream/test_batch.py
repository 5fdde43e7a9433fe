"""The pure batch step."""

from contracts.alerts import CART_ABANDONED, AlertState
from contracts.buckets import Metric
from contracts.dead_letters import DeadLetter
from contracts.visitor import REFUNDED
from shoppers import MINUTE_MS, NOW_MS, SETTINGS, Shop, make_entries, make_event
from stream.batch.core import Core
from stream.batch.step import Entry

DAY_S = 86_400


def test_events_count_for_product_shop_and_visitor(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(
        make_entries(
            [
                make_event("view", 0),
                make_event("favorite", 1),
                make_event("cart", 2),
                make_event("purchase", 70, quantity=2, order_id="o1"),
            ]
        )
    )
    minute = NOW_MS - NOW_MS % MINUTE_MS
    later = NOW_MS + 70_000 - (NOW_MS + 70_000) % MINUTE_MS
    assert shop.products[minute, "v:p1"] == 1
    assert shop.products[later, "m.EUR:p1"] == 200
    assert shop.totals[later, Metric.UNITS] == 2
    assert shop.total(Metric.ORDERS) == 1
    assert shop.visitors["u1"].totals.counts == (1, 1, 1, 0, 1)


def test_an_event_sent_twice_counts_once(core: Core) -> None:
    shop = Shop(core=core)
    event = make_event("purchase", 0)
    shop.apply(make_entries([event, event]))
    shop.apply(make_entries([event]))
    assert shop.counters == {"applied": 1, "duplicates": 2}
    assert shop.total("m.EUR") == 100


def test_the_same_id_of_another_visitor_is_another_event(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(
        make_entries([make_event("view", 0, event_id="1"), make_event("view", 0, user="u2", event_id="1")])
    )
    assert shop.counters["applied"] == 2


def test_lines_of_one_order_are_one_order_in_the_minute_of_the_earliest(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("purchase", 120, "b", order_id="o1")]))
    shop.apply(make_entries([make_event("purchase", 0, "a", order_id="o1")]))
    assert shop.total(Metric.ORDERS) == 1
    assert shop.totals[NOW_MS - NOW_MS % MINUTE_MS, Metric.ORDERS] == 1


def test_lines_without_order_id_at_one_moment_are_one_order(core: Core) -> None:
    shop = Shop(core=core)
    events = [make_event("purchase", 0, "a"), make_event("purchase", 0, "b"), make_event("purchase", 1, "c")]
    shop.apply(make_entries(events))
    assert shop.total(Metric.ORDERS) == 2


def test_a_line_of_an_order_counts_once_whatever_its_event_id(core: Core) -> None:
    shop = Shop(core=core)
    lines = [make_event("purchase", 0, product, order_id="o1") for product in ("a", "b")]
    again = [event._replace(event_id=f"again-{event.event_id}") for event in lines]
    shop.apply(make_entries([*lines, again[1]]))
    shop.apply(make_entries([event._replace(event_time_ms=NOW_MS + 70_000) for event in again]))
    shop.apply(make_entries([make_event("purchase", 80, "c", order_id="o1")]))
    assert shop.counters == {"applied": 3, "duplicates": 3}
    assert (shop.total(Metric.ORDERS), shop.total("m.EUR"), shop.total(Metric.PURCHASES)) == (1, 300, 3)
    assert shop.visitors["u1"].totals.revenue_minor == {"EUR": 300}


def test_two_lines_of_one_product_are_two_if_they_say_which(core: Core) -> None:
    shop = Shop(core=core)
    first = make_event("purchase", 0, "a", order_id="o1", event_id="1#0")
    second = first._replace(event_id="1#1", extra={"line": "2"})
    for message in ("1", "2"):
        told = [event._replace(event_id=message + event.event_id[1:]) for event in (first, second)]
        shop.apply(make_entries(told))
    assert shop.counters == {"applied": 2, "duplicates": 2}


def test_the_second_part_of_a_line_counts_only_with_the_first(core: Core) -> None:
    shop = Shop(core=core)
    whole = make_event("purchase", 0, "a", order_id="o1", event_id="s", quantity=3, price_minor=333)
    parts = [
        whole._replace(event_id="g", event_time_ms=NOW_MS + 5, quantity=2),
        whole._replace(
            event_id="g2", event_time_ms=NOW_MS + 5, quantity=1, price_minor=334, extra={"line": "1#2"}
        ),
    ]
    shop.apply(make_entries([whole, *parts]))
    assert shop.total("m.EUR") == 999
    other = Shop(core=core)
    other.apply(make_entries([*parts, whole._replace(event_time_ms=NOW_MS + 9)]))
    assert other.total("m.EUR") == 1_000


def test_an_order_without_lines_closes_the_cart_and_counts_its_money(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("cart", 0, "a"), make_event("cart", 1, "b")]))
    order = make_event("purchase", 2, "", order_id="o1", price_minor=3_000)
    shop.apply(make_entries([order, order._replace(event_id="again")]))
    shop.apply(make_entries([make_event("purchase", 3, "a", order_id="o1")]))
    assert (shop.total(Metric.ORDERS), shop.total("m.EUR"), shop.total(Metric.UNITS)) == (1, 3_000, 0)
    assert shop.counters == {"applied": 3, "duplicates": 2}
    visitor = shop.visitors["u1"]
    assert (visitor.head.cart, visitor.head.counts[4]) == ({}, 1)
    assert not [field for _, field in shop.products if field.endswith(":")]
    shop.fire(NOW_MS + 10 * SETTINGS.idle_ms)
    assert shop.alerts == []
    lines_first = Shop(core=core)
    lines_first.apply(make_entries([make_event("purchase", 0, "a", order_id="o1"), order]))
    assert lines_first.total("m.EUR") == 100


def test_a_refund_is_no_action_and_lowers_what_the_visitor_paid(core: Core) -> None:
    shop = Shop(core=core)
    lines = [make_event("purchase", 0, p, order_id="o1", quantity=2) for p in ("a", "b")]
    before = shop.apply(make_entries(lines)).visitors["u1"]
    refund = make_event("refund", 5_000, "a", order_id="o1", price_minor=50, event_id="r1")
    outcome = shop.apply(make_entries([refund, refund]))
    assert outcome.counts.refunds == [refund]
    after = shop.visitors["u1"]
    assert after.extra[REFUNDED] == {"EUR": 50}
    assert (after.head, after.totals, after.tail) == (before.head, before.totals, before.tail)
    pieces = refund._replace(event_id="r2", price_minor=None, currency=None)
    shop.apply(make_entries([pieces]))
    assert shop.visitors["u1"].extra[REFUNDED] == {"EUR": 150}
    whole = pieces._replace(event_id="r3", product_id="")
    shop.apply(make_entries([whole, whole._replace(event_id="r4")]))
    assert shop.visitors["u1"].extra[REFUNDED] == {"EUR": 400}
    assert shop.total("m.EUR") == 400
    shop.apply(make_entries([refund._replace(user_id="u2")]))
    assert "u2" not in shop.visitors
    assert shop.counters == {"applied": 7, "duplicates": 1}


def test_an_event_a_day_late_counts_in_its_own_bucket(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("view", DAY_S)]))
    shop.apply(make_entries([make_event("view", 1, user="u2")], arrived_ms=NOW_MS + DAY_S * 1_000))
    assert shop.products[NOW_MS - NOW_MS % MINUTE_MS, "v:p1"] == 1


def test_an_older_event_is_counted_as_late_and_kept_out(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("view", 2 * DAY_S)]))
    shop.apply(make_entries([make_event("view", 0, user="u2")], arrived_ms=NOW_MS + 2 * DAY_S * 1_000))
    assert shop.counters == {"applied": 1, "late": 1}
    assert "u2" not in shop.visitors


def test_a_clock_that_is_ahead_does_not_move_the_watermark(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("view", 240)], arrived_ms=NOW_MS))
    assert shop.clock.max_event_ms == NOW_MS


def test_a_dead_letter_is_kept_for_the_outbox_and_counted(core: Core) -> None:
    shop = Shop(core=core)
    letter = DeadLetter("event.not_json", "", "view", 0, 7, None, b"{", NOW_MS)
    outcome = shop.apply([Entry(7, 0, NOW_MS, None, letter)])
    assert outcome.letters == [letter]
    assert shop.counters == {"rejected": 1}


def test_a_deadline_finds_the_session_over_or_sets_itself_again(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("view", 0)]))
    shop.apply(make_entries([make_event("favorite", 600)]))
    first_due = shop.timers["u1"]
    assert first_due == NOW_MS + SETTINGS.idle_ms
    shop.fire(first_due + 1)
    assert shop.timers["u1"] == first_due + 600_000
    assert shop.total(Metric.SESSIONS_ENDED) == 0
    shop.fire(first_due + 600_001)
    assert shop.timers == {}
    assert shop.total(Metric.SESSIONS_ENDED) == 1


def test_a_cart_left_alone_is_looked_at_before_the_session_ends_and_until_it_is_lost(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("cart", 0)]))
    assert shop.timers["u1"] == NOW_MS + SETTINGS.cart_idle_ms
    shop.fire(NOW_MS + SETTINGS.cart_idle_ms + 1)
    assert [(a.kind, a.state) for a in shop.alerts] == [(CART_ABANDONED, AlertState.FIRING)]
    assert shop.timers["u1"] == NOW_MS + SETTINGS.idle_ms
    shop.fire(NOW_MS + SETTINGS.idle_ms + 1)
    assert shop.total(Metric.CARTS_ABANDONED) == 1
    lost_ms = NOW_MS + SETTINGS.cart_idle_ms + SETTINGS.cart_recovery_ms
    assert shop.timers["u1"] == lost_ms
    shop.fire(lost_ms + 1)
    assert [a.state for a in shop.alerts] == [AlertState.FIRING, AlertState.EXPIRED]
    assert shop.timers == {}


def test_a_purchase_resolves_the_alert_of_an_abandoned_cart(core: Core) -> None:
    shop = Shop(core=core)
    shop.apply(make_entries([make_event("cart", 0)]))
    shop.fire(NOW_MS + SETTINGS.cart_idle_ms + 1)
    shop.apply(make_entries([make_event("purchase", 7_200)]))
    firing, resolved = shop.alerts
    assert resolved.state is AlertState.RESOLVED
    assert resolved.alert_id == firing.alert_id


def test_a_deadline_of_a_visitor_whose_state_expired_is_cleared(core: Core) -> None:
    shop = Shop(core=core)
    shop.timers["gone"] = NOW_MS
    shop.fire(NOW_MS + 1)
    assert shop.timers == {}
