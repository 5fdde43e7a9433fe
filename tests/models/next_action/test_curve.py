"""The learning curve: the same test at every size, the latest sessions before it to learn from."""

from functools import partial

import pytest

from models.next_action.evaluation.chains import MarkovChain
from models.next_action.evaluation.contender import Row
from models.next_action.evaluation.curve import Point, doubling, measure_curve
from models.next_action.evaluation.fitting import Plan
from models.next_action.prefixes import PrefixSet, prefixes_of
from shoppers import make_event

ROWS = {"markov-2": Row(partial(MarkovChain, 2), seeded=False)}


def make_shop(sessions: int) -> PrefixSet:
    """Those of an even number buy."""
    return prefixes_of(
        [
            make_event(kind, 900 * number + 20 * at, f"p{at}", user=f"u{number}")
            for number in range(sessions)
            for at, kind in enumerate(["view", "cart", "purchase"] if number % 2 else ["view", "view"])
        ],
        idle_ms=1_800_000,
    )


def measure(*sizes: int) -> list[Point]:
    cases, plan = make_shop(800), Plan([0], 1)
    return measure_curve(cases, ROWS, train=0.6, valid=0.1, sizes=sizes, plan=plan, progress=lambda *_: None)


def test_sizes_double_up_to_all_sessions() -> None:
    assert doubling(2_100) == [500, 1_000, 2_000, 2_100]
    assert doubling(100) == [100]


def test_more_sessions_tell_more_about_the_same_test() -> None:
    points = measure(20, 560)
    assert [(point.name, point.sessions) for point in points] == [("markov-2", 20), ("markov-2", 560)]
    assert points[1].log_loss < points[0].log_loss
    assert points[0].buying < points[1].buying <= 280


def test_a_size_that_the_data_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="sizes must be from 2 to 560 sessions, got 600 to 600"):
        measure(600)
