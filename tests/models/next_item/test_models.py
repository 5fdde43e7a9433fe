"""The models, on sessions small enough to count by hand."""

import numpy as np
import pytest

from models.next_item.evaluation.contenders import CONTENDERS, Contender
from models.next_item.item_neighbours import ItemNeighbours
from models.next_item.linear import LinearTransitions
from models.next_item.model import LearningModel, NextItemModel
from models.next_item.popularity import LastItem, Popularity, RecentPopularity, SessionItems
from models.next_item.session_neighbours import NeighbourConfig, SessionNeighbours
from models.next_item.sessions import sessions_of
from models.next_item.transitions import cooccurrence, last_cooccurrence, markov, sequential_rules

SESSIONS = [[0, 1, 2], [0, 1, 3], [1, 0], [4, 0, 1]]
N_ITEMS = 6


def answer(model: NextItemModel, *prefix: int, sessions: list[list[int]] = SESSIONS) -> list[float]:
    model.fit(sessions_of(sessions, N_ITEMS))
    (scores,) = model.scores([np.array(prefix, dtype=np.int32)])
    assert scores.dtype == np.float32
    return [round(float(score), 4) for score in scores]


def test_popularity_counts_occurrences() -> None:
    assert answer(Popularity(), 5) == [4, 4, 1, 1, 1, 0]


def test_recent_popularity_forgets() -> None:
    model = RecentPopularity(half_life_share=1 / 4)
    assert answer(model, 0, sessions=[[0], [1], [2], [3]]) == [0.125, 0.25, 0.5, 1, 0, 0]


def test_session_items_come_before_popular_ones_by_count_and_then_recency() -> None:
    scores = answer(SessionItems(), 2, 3, 5, 3, 2)
    assert np.argsort(scores)[::-1][:3].tolist() == [2, 3, 5]
    assert scores[0] == scores[1] > scores[4] > 0
    assert min(scores[2], scores[3], scores[5]) > scores[0]


def test_the_last_item_again() -> None:
    assert answer(LastItem(), 2, 4) == [0, 0, 0, 0, 1, 0]


def test_markov_counts_what_came_directly_after() -> None:
    assert answer(markov(), 3, 0) == [0, 3, 0, 0, 0, 0]
    assert answer(markov(), 0, 1) == [1, 0, 1, 1, 0, 0]


def test_sequential_rules_count_by_distance() -> None:
    assert answer(sequential_rules(), 0) == [0, 3, 0.5, 0.5, 0, 0]


def test_cooccurrence_counts_both_ways() -> None:
    assert answer(last_cooccurrence(), 2, 0) == [0, 4, 1, 1, 1, 0]
    assert answer(cooccurrence(decay=0.5), 2, 0) == [0.5, 4.5, 1, 1, 1, 0]


def test_item_neighbours_are_cosines_of_sets_of_sessions() -> None:
    assert answer(ItemNeighbours("last"), 3, 2) == [0.5, 0.5, 1, 0, 0, 0]
    assert answer(ItemNeighbours("all", decay=0.5), 3, 2) == [0.75, 0.75, 1, 0.5, 0, 0]
    # 2 x the Markov probabilities of item 0, which is followed by nothing but item 1.
    assert answer(ItemNeighbours("both", markov_weight=2.0), 0)[1] == 1 + 2


def test_neighbours_vote_with_the_cosine_of_their_sets() -> None:
    model = SessionNeighbours("sknn", NeighbourConfig(k=2))
    # Of items 2 and 0 the first session has both; the third has only item 0, and is small.
    assert answer(model, 2, 0) == [1.8618, 1.8618, 1.1547, 0, 0, 0]


def test_of_equally_similar_sessions_the_recent_ones_are_neighbours() -> None:
    model = SessionNeighbours("sknn", NeighbourConfig(k=1))
    assert answer(model, 0, sessions=[[0, 1], [0, 2], [3, 4]]) == [0.7071, 0, 0.7071, 0, 0, 0]


def test_only_the_recent_sessions_of_an_item_are_looked_at() -> None:
    model = SessionNeighbours("sknn", NeighbourConfig(sessions_per_item=1))
    assert answer(model, 0, sessions=[[0, 1], [0, 2], [3, 4]]) == [0.7071, 0, 0.7071, 0, 0, 0]


def test_items_near_the_one_shared_last_get_more() -> None:
    config = NeighbourConfig(steps_scale=1.0, distance_scale=1.0, match_scale=1.0)
    e = np.exp(-1.0)
    # Item 1 is two steps back: once in the similarity, once in the vote.
    vote = e**2 * e**2 / np.sqrt(3)
    found = answer(SessionNeighbours("vstan", config), 1, 5, 5, sessions=[[0, 1, 2], [3]])
    assert found == pytest.approx([vote * e, vote, vote * e, 0, 0, 0], abs=1e-4)


def test_the_item_shared_last_is_the_latest_of_the_prefix() -> None:
    config = NeighbourConfig(distance_scale=1.0)
    found = answer(SessionNeighbours("stan", config), 0, 2, sessions=[[0, 1, 2, 3]])
    e = np.exp(-1.0)
    assert found[:4] == pytest.approx([e**2, e, 1, e], abs=1e-4)


def test_old_neighbours_and_frequent_items_count_less() -> None:
    old = SessionNeighbours("aged", NeighbourConfig(age_scale=1.0))
    scores = answer(old, 0, sessions=[[0, 1], [2], [0, 3]])
    assert scores[1] == pytest.approx(np.exp(-1) * scores[3], abs=1e-4)
    rare = SessionNeighbours("rare", NeighbourConfig(idf_weight=1.0))
    scores = answer(rare, 0, sessions=[[0, 1, 2], [1]])
    assert scores[2] / scores[1] == pytest.approx(1 + np.log(2), abs=1e-3)


def test_the_current_item_can_count_less() -> None:
    whole = answer(SessionNeighbours("sknn", NeighbourConfig()), 0)
    less = answer(SessionNeighbours("sknn", NeighbourConfig(current_weight=0.5)), 0)
    assert less == pytest.approx([whole[0] / 2, *whole[1:]], abs=1e-4)


def test_the_linear_model_is_a_ridge_regression() -> None:
    # Item 0 is followed by item 1 in both sessions: 2 / (2 + penalty).
    assert answer(LinearTransitions(penalty=2.0), 0, sessions=[[0, 1], [0, 1]]) == [0, 0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "model", [Popularity(), SessionItems(), markov(), cooccurrence(), sequential_rules()]
)
def test_learning_one_by_one_is_learning_all(model: LearningModel) -> None:
    whole = answer(model, 4, 0)
    model.fit(sessions_of(SESSIONS[:2], N_ITEMS))
    for session in SESSIONS[2:]:
        model.learn(np.array([*session, -1], dtype=np.int32))
    (scores,) = model.scores([np.array([4, 0], dtype=np.int32)])
    assert scores.tolist() == pytest.approx(whole, abs=1e-4)


@pytest.mark.parametrize("name", CONTENDERS)
def test_answers_are_pure_and_the_same_alone_and_together(name: str) -> None:
    contender = CONTENDERS[name]
    if (obstacle := contender.obstacle(N_ITEMS)) is not None:
        pytest.skip(obstacle)
    model = contender.make()
    assert model.name == name
    model.fit(sessions_of(SESSIONS, N_ITEMS))
    prefixes = [np.array(prefix, dtype=np.int32) for prefix in ([0], [5, -1], [-1], [1, 0, 1], [2, 3, 4])]
    together = model.scores(prefixes)
    assert together.shape == (5, N_ITEMS)
    np.testing.assert_array_equal(model.scores(prefixes), together)
    alone = np.concatenate([model.scores([prefix]) for prefix in prefixes])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_what_cannot_take_part_says_why() -> None:
    assert Contender(Popularity, most_items=10).obstacle(11) == "takes up to 10 items, there are 11"
    assert (
        Contender(Popularity, package="no_such_package").obstacle(1) == "needs no_such_package, extra [peers]"
    )
