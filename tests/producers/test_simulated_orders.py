"""Refunds and logins of the simulated shop change nothing else, and come to what is reported."""

from collections import Counter, defaultdict

import pytest

from contracts.events import GUEST, Event, EventType, Statement, decode, encode
from identity_shop import IdentityShop
from producers.simulator import refunds
from producers.simulator.accounts import WITH_ACCOUNT, with_accounts
from producers.simulator.profiles import LogNormal
from producers.simulator.refunds import CANCELLED, RETURNED, Refunds
from producers.simulator.running import Output
from producers.simulator.simulation import SimulationConfig, simulate
from shoppers import NOW_MS

MINUTE_MS, DAY_MS = 60_000, 86_400_000
ORDERS = 6_000


def orders(count: int) -> list[Event]:
    """An order a minute of one to three lines, and a view a hundred days later."""
    made = []
    for number in range(count):
        for line in range(1 + number % 3):
            made.append(
                Event(
                    f"e{number}-{line}",
                    EventType.PURCHASE,
                    NOW_MS + number * MINUTE_MS,
                    f"v{number:07}",
                    f"p{line}",
                    price_minor=1_000 + number,
                    currency="EUR",
                    quantity=1 + number % 2,
                    order_id=f"o{number}",
                )
            )
    return [*made, Event("last", EventType.VIEW, NOW_MS + 100 * DAY_MS, "v0000001", "p1")]


def shop_events(minutes: float, seed: int = 1) -> list[Event]:
    config = SimulationConfig(NOW_MS, NOW_MS + round(minutes * MINUTE_MS), rate=4.0, shaped=False)
    return list(simulate(config, seed))


def test_a_small_share_of_orders_is_refunded_in_every_way() -> None:
    found = [event for event in Refunds(1).among(orders(ORDERS)) if event.event_type is EventType.REFUND]
    assert len({event.order_id for event in found}) == len(found)
    assert len(found) / ORDERS == pytest.approx(CANCELLED + RETURNED, rel=0.15)
    kinds = Counter((bool(event.product_id), event.price_minor is not None) for event in found)
    assert kinds.keys() == {(False, False), (True, False), (False, True)}
    assert min(kinds.values()) > len(found) / 20


def test_the_same_seed_gives_the_same_refunds_and_leaves_other_events_as_they_are() -> None:
    sent = orders(ORDERS)
    made = list(Refunds(1).among(sent))
    assert made == list(Refunds(1).among(sent)) != list(Refunds(2).among(sent))
    assert [event for event in made if event.event_type is not EventType.REFUND] == sent
    times = [event.event_time_ms for event in made]
    assert times == sorted(times)


def test_what_goes_back_is_part_of_what_was_paid() -> None:
    lines: dict[str | None, dict[str, tuple[int, int]]] = defaultdict(dict)
    source = Refunds(3)
    for event in source.among(orders(ORDERS)):
        if event.event_type is EventType.PURCHASE:
            lines[event.order_id][event.product_id] = event.quantity, event.price_minor or 0
        if event.event_type is not EventType.REFUND:
            assert source.amount_minor(event) == 0
            continue
        total_minor = sum(pieces * price for pieces, price in lines[event.order_id].values())
        expected = total_minor if event.price_minor is None else event.price_minor
        if event.product_id:
            pieces, price = lines[event.order_id][event.product_id]
            assert event.quantity <= pieces
            expected = event.quantity * price
        assert source.amount_minor(event) == expected
        assert 0 < expected <= total_minor


def test_logins_are_added_and_nothing_else_changes() -> None:
    sent = shop_events(20)
    made = list(with_accounts(sent, 1))
    assert made == list(with_accounts(sent, 1))
    assert [
        event._replace(customer_id=None) for event in made if event.event_type is not Statement.IDENTIFY
    ] == sent
    for event in made:
        assert decode(encode(event), received_ms=event.event_time_ms, default_currency="USD") == event


def test_guests_log_in_and_some_customers_use_two_devices() -> None:
    known: dict[tuple[str, str | None], str | None] = {}
    devices: dict[str, set[str]] = defaultdict(set)
    visitors, guests_who_log_in, told = set(), 0, 0
    for event in with_accounts(shop_events(60), 1):
        visitors.add(event.user_id)
        if event.event_type is Statement.IDENTIFY:
            told += 1
            continue
        assert event.customer_id is not None
        session = event.user_id, event.session_id
        before = known.setdefault(session, event.customer_id)
        guests_who_log_in += before == GUEST != event.customer_id
        assert before in (GUEST, event.customer_id), "nobody logs out within a session"
        known[session] = event.customer_id
        if event.customer_id != GUEST:
            devices[event.customer_id].add(event.user_id)
    assert guests_who_log_in > 20
    assert told > 20
    assert Counter(map(len, devices.values())).keys() == {1, 2}
    assert len(set.union(*devices.values())) < WITH_ACCOUNT * len(visitors) * 1.1


def test_the_stream_comes_to_what_the_simulator_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refunds, "CANCELLED", 0.2)
    monkeypatch.setattr(refunds, "RETURNED", 0.5)
    monkeypatch.setattr(refunds, "RETURNED_AFTER_S", LogNormal(300.0, 0.5))
    source, output, shop = Refunds(1), Output(), IdentityShop()
    for event in source.among(with_accounts(shop_events(25), 1)):
        output.count(event, source.amount_minor(event))
        shop.put(event)
    shop.run()
    assert output.types["refund"] > 20
    assert (shop.shop_total("m.EUR"), shop.shop_total("r.EUR")) == (
        output.revenue_minor,
        output.refunded_minor,
    )
