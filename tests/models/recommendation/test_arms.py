"""Arms of the experiment on recommendations: who is in which, and how they are named in the settings."""

from collections import Counter
from typing import Any

import pytest

from contracts.settings import Settings
from models.recommendation.arms import Arms
from models.recommendation.request import ActionWeights

VISITORS = [f"u{n}" for n in range(20_000)]


def test_a_visitor_stays_in_one_arm_and_the_arms_have_their_shares() -> None:
    arms = Arms(hold_out=0.1, others="buyers=20%:0.2/1/4, carts=5%:0/1/0", salt="shop")
    found = {visitor: arms.find(visitor) for visitor in VISITORS}
    again = Arms(hold_out=0.1, others="carts=5%:0/1/0,buyers=20%:0.2/1/4", salt="shop")
    assert {visitor: again.find(visitor) for visitor in VISITORS} == found
    counts = Counter(arm.name for arm in found.values())
    assert arms.shares.keys() == counts.keys()
    for name, share in arms.shares.items():
        assert counts[name] == pytest.approx(share * len(VISITORS), rel=0.1)
    weights = {arm.name: arm.weights for arm in found.values()}
    assert weights["buyers"] == ActionWeights(0.2, 1, 4)
    assert weights["main"] is weights["held_out"] is None


def test_the_arms_of_two_shops_are_independent() -> None:
    ours, theirs = Arms(hold_out=0.5, salt="a"), Arms(hold_out=0.5, salt="b")
    both = sum(ours.find(v).name == theirs.find(v).name for v in VISITORS)
    assert both == pytest.approx(len(VISITORS) / 2, rel=0.05)


def test_without_an_experiment_everybody_is_in_the_main_arm() -> None:
    assert {Arms().find(visitor).name for visitor in VISITORS[:100]} == {"main"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"recommendation_arms": "buyers=20"}, "must be NAME=N%"),
        ({"recommendation_arms": "main=20%:1/1/1"}, "main is there already"),
        ({"recommendation_arms": "a=1%:1/1/1,a=2%:1/1/1"}, "a is there already"),
        ({"recommendation_arms": "a=10%:0/0/0"}, "a weight above 0"),
        ({"recommendation_arms": "a=60%:1/1/1,b=60%:1/1/1"}, "at most 100%"),
        ({"recommendation_arms": "a=60%:1/1/1", "recommendation_hold_out": 0.5}, "at most all visitors"),
    ],
)
def test_arms_that_cannot_be_are_refused_at_the_start(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(**fields)
