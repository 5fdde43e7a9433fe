"""What is read of the times of own purchases."""

import numpy as np
import pytest

from hand_baskets import baskets_of
from models.next_basket.pairs import pairs_of
from models.next_basket.purchases import closeness_of_hours, describe_purchases

MILK, TEA = 0, 1
HISTORIES = {7: [[MILK], [MILK, TEA], [TEA], [MILK]], 8: [[TEA]]}
DAYS = {7: [0.0, 2.0, 6.0, 8.0], 8: [3.5]}


def columns_at(day: float) -> dict[str, list[float]]:
    """Of milk and tea of customer 7, and of tea of customer 8."""
    histories = baskets_of(HISTORIES, days=DAYS)._replace(asked_days=np.full(2, day))
    assert pairs_of(histories).key.tolist() == [MILK, TEA, 5 + TEA]
    return {name: values.tolist() for name, values in describe_purchases(histories).items()}


def test_shares_count_older_baskets_less() -> None:
    found = columns_at(18.0)

    total = 1 + 0.8 + 0.8**2 + 0.8**3
    assert found["share_80"] == pytest.approx([(1 + 0.8**2 + 0.8**3) / total, (0.8 + 0.8**2) / total, 1])
    weights = 0.5 ** np.array([1.8, 1.6, 1.2, 1.0])
    expected = [weights[[0, 1, 3]].sum() / weights.sum(), weights[[1, 2]].sum() / weights.sum(), 1]
    assert found["share_10_days"] == pytest.approx(expected)
    assert found["basket_size"] == pytest.approx([4 / 3, 1.5, 1])
    assert found["basket_parts"] == pytest.approx([2.5, 1.5, 1])


def test_the_time_since_the_last_purchase_is_compared_with_the_gaps_before() -> None:
    found = columns_at(14.0)

    milk, tea = np.log1p([2.0, 6.0]), np.log1p(4.0)
    assert found["log_gap"] == pytest.approx([milk.mean(), tea, -1])
    assert found["gap_spread"] == pytest.approx([milk.std(), -1, -1])
    assert found["gaps_passed"] == [1, 1, -1]  # 6 and 8 days ago
    assert columns_at(11.0)["gaps_passed"] == [0.5, 1, -1]  # 3 days ago, after gaps of 2 and 6
    overdue = np.exp((np.log1p(6.0) - milk.mean()) / (0.3 + milk.std()))
    assert found["overdue"] == pytest.approx([overdue, np.exp((np.log1p(8.0) - tea) / 0.3), -1])


def test_baskets_at_the_time_of_day_of_asking_count_most() -> None:
    histories = baskets_of({7: [[MILK], [MILK], [TEA]]}, days={7: [0.5, 1.0, 2.25]})

    near = closeness_of_hours(histories._replace(asked_days=np.array([4.5])))

    assert near == pytest.approx([1, np.exp(-36), np.exp(-9)])


def test_without_times_there_are_only_shares_by_basket() -> None:
    found = describe_purchases(baskets_of(HISTORIES))

    assert set(found) == {"share_80", "share_95", "share_98", "basket_size", "basket_parts"}
    with pytest.raises(ValueError, match="baskets must have times to be compared by time of day"):
        closeness_of_hours(baskets_of(HISTORIES))
