"""The pure batch step."""

from contracts.alerts import CART_ABANDONED, AlertState
from contracts.dead_letters import DeadLetter
from contracts.keys import Metric
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
