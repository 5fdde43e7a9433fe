import numpy as np
import pytest

from hand_baskets import N_ITEMS, SHOP, baskets_of
from models.next_basket.baskets import Baskets, make_baskets
from models.next_basket.pairs import pairs_of


def plain(baskets: Baskets) -> dict[int, list[list[int]]]:
    return {
        int(user): [
            baskets.items[baskets.starts[b] : baskets.starts[b + 1]].tolist()
            for b in range(baskets.user_starts[i], baskets.user_starts[i + 1])
        ]
        for i, user in enumerate(baskets.users)
    }


def test_lines_in_any_order_become_baskets_of_distinct_items() -> None:
    users, order, items = (
        np.array([2, 1, 2, 2, 1, 2]),
        np.array([9, 5, 3, 9, 4, 9]),
        np.array([0, 1, 2, 4, 3, 0]),
    )

    found = make_baskets(users, order, items.astype(np.int32), N_ITEMS)

    assert plain(found) == {1: [[3], [1]], 2: [[2], [0, 4]]}


def test_no_lines_are_refused() -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match="at least one line of a basket, got none"):
        make_baskets(none, none, none.astype(np.int32), N_ITEMS)


def test_users_are_picked_in_the_order_asked_for_and_twice_if_so() -> None:
    picked = baskets_of(SHOP).of_users(np.array([2, 0, 2]))

    assert picked.users.tolist() == [3, 1, 3]
    assert picked.counts().tolist() == [2, 3, 2]
    assert picked.items.tolist() == [1, 3, 3, 0, 1, 0, 2, 0, 1, 3, 3]


def test_what_is_before_a_time_leaves_out_later_baskets_and_users_without_any() -> None:
    baskets = baskets_of(SHOP, days={1: [1, 2, 3], 2: [2, 4], 3: [3, 5]})

    assert plain(baskets.before(3)) == {1: [[0, 1], [0, 2]], 2: [[1]]}
    with pytest.raises(ValueError, match="must have times"):
        baskets_of(SHOP).before(3)


def test_a_case_is_a_basket_and_all_that_its_user_bought_before() -> None:
    baskets = baskets_of(SHOP, days={1: [1, 2, 3], 2: [2, 4], 3: [3, 5]})

    histories, targets = baskets.cases(np.array([1, 2, 6]))

    assert [histories.users.tolist(), targets.users.tolist()] == [[1, 1, 3], [1, 1, 3]]
    assert histories.items.tolist() == [0, 1, 0, 1, 0, 2, 1, 3]
    assert targets.items.tolist() == [0, 2, 0, 3]
    assert histories.asked_days is not None
    assert histories.asked_days.tolist() == [2, 3, 5]


def test_a_history_says_of_each_item_when_and_how_often_it_was_bought() -> None:
    days = {7: [0.0, 2.0, 3.0, 8.0]}
    baskets = baskets_of({7: [[4], [0, 4], [1], [4]]}, days=days)._replace(asked_days=np.array([10.0]))

    found = pairs_of(baskets)

    assert found.key.tolist() == [0, 1, 4]
    assert found.purchases.tolist() == [1, 1, 3]
    assert found.newest_age.tolist() == [2, 1, 0]
    assert found.oldest_age.tolist() == [2, 1, 3]
    assert found.last_gap.tolist() == [-1, -1, 2]
    assert found.newest_days.tolist() == [8, 7, 2]
    assert found.oldest_days.tolist() == [8, 7, 10]
    assert found.decayed.tolist() == pytest.approx([0.81, 0.9, 1 + 0.81 + 0.729])
