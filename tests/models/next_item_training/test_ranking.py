"""Ranking candidates anew: which they are, what is known of them, and that an order is learnt out of fold."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.next_item.cases import known_cases_of
from models.next_item.model import Scores
from models.next_item.ranking.candidates import collect, feature_names
from models.next_item.ranking.item_statistics import measure_items
from models.next_item.ranking.model import RankedCandidates
from models.next_item.ranking.orders import BlendOrder, TreeOrder
from models.next_item.ranking.pool import CandidatePool
from models.next_item.sessions import UNKNOWN, Codes, Sessions, sessions_of, split_by_time
from small_sessions import N_ITEMS, small_sessions

pytestmark = pytest.mark.slow


class Following:
    """Counts what followed the last item; `seen` keeps how many sessions each fit had."""

    name = "following"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def fit(self, sessions: Sessions) -> None:
        self.seen.append(sessions.n_sessions)
        self._counts = np.zeros((sessions.n_items, sessions.n_items), np.float32)
        for session in sessions.each():
            np.add.at(self._counts, (session[:-1], session[1:]), 1.0)

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        return self._counts[[prefix[-1] for prefix in prefixes]]


class Noise:
    """Knows nothing."""

    name = "noise"

    def fit(self, sessions: Sessions) -> None:
        self._n_items = sessions.n_items

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        rng = np.random.default_rng(len(prefixes))
        return rng.random((len(prefixes), self._n_items)).astype(np.float32)


def ranks(model: RankedCandidates | Following | Noise, sessions: Sessions) -> np.ndarray:
    cases = known_cases_of(sessions, 6)
    scores = model.scores(cases.prefixes())
    own = scores[np.arange(len(cases)), cases.targets]
    return (scores >= own[:, None]).sum(axis=1)


def test_candidates_are_what_models_put_first_and_the_items_of_the_session() -> None:
    statistics = measure_items(sessions_of([[0, 1, 2, 3, 4, 5]], 6))
    first = np.array([[0.0, 3.0, 2.0, 0.0, 0.0, 0.0]], np.float32)
    second = np.array([[0.1, 0.2, 0.3, 0.9, 0.4, -np.inf]], np.float32)
    pairs = collect([np.array([5, UNKNOWN, 0], np.int32)], [first, second], statistics, per_source=2)
    assert pairs.item.tolist() == [0, 1, 2, 3, 4, 5]
    names = feature_names([Following(), Noise()])
    assert pairs.features.shape == (6, len(names))
    column = {name: pairs.features[:, index].tolist() for index, name in enumerate(names)}
    assert column["following rank"] == [3, 1, 2, 3, 3, 3]
    assert column["noise rank"] == [3, 3, 3, 1, 2, 3]
    assert column["following relative score"] == pytest.approx([0, 1, 2 / 3, 0, 0, 0])
    assert column["times_in_session"] == [1, 0, 0, 0, 0, 1]
    assert column["steps_back"] == [0, 1_000, 1_000, 1_000, 1_000, 2]
    assert column["length"] == [3] * 6


def test_an_item_that_no_model_tells_from_the_rest_is_no_candidate() -> None:
    statistics = measure_items(sessions_of([[0, 1, 2, 3]], 4))
    nothing = np.zeros((1, 4), np.float32)
    assert collect([np.array([2], np.int32)], [nothing], statistics, per_source=3).item.tolist() == [2]


def test_items_met_lately_have_few_events_since() -> None:
    statistics = measure_items(sessions_of([[0, 1], [1, 2]], 4))
    assert np.exp(statistics.log_events_since).round().tolist() == [5, 3, 2, 6]
    assert statistics.log_popularity.argmax() == 1


def test_the_order_is_learnt_from_models_that_had_not_seen_the_sessions() -> None:
    source = Following()
    pool = CandidatePool([source, Noise()])
    RankedCandidates(pool, BlendOrder()).fit(small_sessions())
    assert source.seen == [720, 800]
    RankedCandidates(pool, TreeOrder()).fit(small_sessions())
    assert source.seen == [720, 800]  # the pool is fitted once for both


@pytest.mark.parametrize("order", [BlendOrder(), TreeOrder(min_data_in_leaf=5)], ids=lambda order: order.name)
def test_an_order_finds_the_model_that_knows(order: BlendOrder | TreeOrder) -> None:
    train, held_back = split_by_time(small_sessions(), 0.1)
    source, noise = Following(), Noise()
    model = RankedCandidates(CandidatePool([noise, source], per_source=10), order)
    model.fit(train)
    found, alone = ranks(model, held_back), ranks(source, held_back)
    assert (found <= 5).mean() > (alone <= 5).mean() - 0.05
    assert (found <= 5).mean() > (ranks(noise, held_back) <= 5).mean() + 0.3


def test_a_blend_gives_noise_little_weight() -> None:
    pool = CandidatePool([Following(), Noise()])
    order = BlendOrder()
    RankedCandidates(pool, order).fit(small_sessions())
    assert order.weights[0] > 5 * order.weights[1]


def test_the_same_trees_twice() -> None:
    prefixes = [np.array([3, 4], np.int32), np.array([40], np.int32)]
    found = []
    for _ in range(2):
        model = RankedCandidates(CandidatePool([Following()]), TreeOrder(seed=2))
        model.fit(small_sessions())
        found.append(model.scores(prefixes))
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].shape == (2, N_ITEMS)


def test_importances_are_shares() -> None:
    order = TreeOrder()
    RankedCandidates(CandidatePool([Following()]), order).fit(small_sessions())
    importance = order.importance()
    assert sum(importance.values()) == pytest.approx(1.0)
    assert next(iter(importance)).startswith("following")
