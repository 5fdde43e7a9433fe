"""Lists of repeats from plain baskets, and the sources of recommendations that read them."""

import numpy as np
import pytest

from contracts.customers import CustomerOrder, CustomerOrderLine
from hand_baskets import baskets_of
from models.next_basket.frequency import GPTopFreq
from models.next_basket.model import Training
from models.next_basket.repeats import BASKET_DECAY, TYPICAL_DAYS, Repeat, find_repeats
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from models.recommendation.recommend import recommend
from models.recommendation.request import RecommendationRequest, Scenario

DAY_MS = 86_400_000
NOW_MS = 1_760_000_000_000


def by_id(repeats: list[Repeat]) -> dict[str, Repeat]:
    return {repeat.product_id: repeat for repeat in repeats}


def order(days_ago: float, *product_ids: str) -> CustomerOrder:
    at_ms = NOW_MS - round(days_ago * DAY_MS)
    lines = tuple(CustomerOrderLine("e", product_id, 1, 100, "EUR") for product_id in product_ids)
    return CustomerOrder(f"o{days_ago}", "v", at_ms, lines)


def asked(scenario: Scenario, *orders: CustomerOrder, limit: int = 5) -> list[tuple[str, str]]:
    """Products that the scenario's own source gave, with the codes of their reasons."""
    request = RecommendationRequest(now_ms=NOW_MS, scenario=scenario, orders=orders, limit=limit)
    found = recommend(make_index(), CatalogueView(), request)
    return [(item.product_id, item.reason.code) for item in found.items if item.source == scenario.value]


def test_without_times_products_come_by_baskets_and_then_by_the_newest_one() -> None:
    found = find_repeats([["c", "a"], ["b", "a"], ["a", "d", "d"]])
    assert [(repeat.product_id, repeat.times) for repeat in found] == [("a", 3), ("c", 1), ("b", 1), ("d", 1)]
    assert found[0].score == pytest.approx(3 / 4)
    assert found[0].stage is None


def test_with_times_the_list_is_that_of_frequency_with_decay() -> None:
    random = np.random.default_rng(1)
    users = {user: [random.choice(40, 6, replace=False).tolist() for _ in range(12)] for user in range(20)}
    histories = baskets_of(users, 40, {user: [7.0 * n for n in range(12)] for user in users})
    model = GPTopFreq(basket_decay=BASKET_DECAY)
    model.fit(Training(histories))
    frequency = model.scores(histories)
    for user, baskets in users.items():
        named = [[str(item) for item in basket] for basket in reversed(baskets)]
        found = find_repeats(named, [7.0 * n for n in range(12)])
        shares = [frequency[user, int(repeat.product_id)] for repeat in found]
        assert shares == pytest.approx(sorted(shares, reverse=True), abs=1e-3)
        assert len(found) == len({item for basket in baskets for item in basket})


def test_a_product_is_due_by_its_own_interval() -> None:
    found = by_id(find_repeats([["soap"], ["milk"], ["soap"], ["milk"]], [0.0, 14.0, 28.0, 42.0]))
    assert found["soap"].stage == 0
    assert found["milk"].interval_days == pytest.approx(28)
    assert found["milk"].stage == pytest.approx(0.5)
    assert found["milk"].mean_gap_days == 28


def test_an_interval_is_the_products_own_the_more_often_it_was_bought() -> None:
    weekly = [[["tea"]] * n for n in (1, 2, 20)]
    once, twice, often = (
        find_repeats(baskets, [7.0 * at for at in range(len(baskets))])[0] for baskets in weekly
    )
    assert once.interval_days == TYPICAL_DAYS
    assert once.mean_gap_days is None
    assert twice.interval_days is not None
    assert often.interval_days is not None
    assert TYPICAL_DAYS > twice.interval_days > often.interval_days > 7
    assert often.interval_days == pytest.approx(7, rel=0.05)
    assert often.mean_gap_days == pytest.approx(7)


def test_no_baskets_have_no_repeats() -> None:
    assert find_repeats([]) == []
    assert find_repeats([[]], [3.0]) == []


def test_a_customer_is_shown_again_what_they_buy_most() -> None:
    orders = order(10, "bread", "salt"), order(20, "bread"), order(30, "bread")
    assert asked(Scenario.BUY_AGAIN, *orders) == [("bread", "bought_before"), ("salt", "bought_before")]


def test_only_what_is_due_is_replenished() -> None:
    orders = [order(14 + 14 * n, "filter") for n in range(6)] + [
        order(1 + 14 * n, "coffee") for n in range(6)
    ]
    assert asked(Scenario.REPLENISH, *orders) == [("filter", "due")]


def test_what_was_bought_once_or_long_ago_is_not_due() -> None:
    orders = [order(400 + 10 * n, "nappies") for n in range(6)]
    assert asked(Scenario.REPLENISH, order(28, "kettle"), *orders) == []
