import numpy as np
import pytest

from hand_baskets import SHOP, baskets_of
from models.next_basket.baskets import Baskets, Cases, Ints
from models.next_basket.candidates import candidates_of
from models.next_basket.features import FEATURES, UNKNOWN
from models.next_basket.model import Examples, Training, rank
from models.next_basket.ranker import TreeRanker
from models.next_basket.sources import Sources, best_of_rows

N_ITEMS = 40
pytestmark = pytest.mark.slow


def habits(seed: int, n_users: int) -> Cases:
    """Users who buy two items of their own in turn, and something of everybody's beside each."""
    random = np.random.default_rng(seed)
    histories, futures = {}, {}
    for user in range(n_users):
        own = random.choice(np.arange(10, N_ITEMS), 2, replace=False).tolist()
        length = int(random.integers(4, 9))
        baskets = [[own[n % 2], int(random.integers(0, 10))] for n in range(length + 1)]
        histories[user], futures[user] = baskets[:-1], baskets[-1:]
    return Cases(baskets_of(histories, N_ITEMS), baskets_of(futures, N_ITEMS))


def training_of(cases: Cases) -> Training:
    return Training(cases.histories, [Examples(cases.histories, cases)])


def features_of(histories: Baskets, user: int, item: int) -> dict[str, float]:
    found = candidates_of(histories, Sources().fit(baskets_of(SHOP)))
    (row,) = np.flatnonzero(found.key == user * histories.n_items + item)
    return dict(zip(FEATURES, found.features[row].tolist(), strict=True))


def test_features_say_what_the_history_says() -> None:
    histories = baskets_of({7: [[0], [1, 2], [0]], 8: [[4]]})

    bought, never = features_of(histories, 0, 0), features_of(histories, 0, 3)

    expected = {"count": 2, "share": 2 / 3, "newest_age": 0, "mean_gap": 2, "due": 0.5, "baskets": 3}
    assert {name: bought[name] for name in expected} == pytest.approx(expected)
    assert [never["count"], never["newest_age"], never["due"], never["days_since"]] == [0, *[UNKNOWN] * 3]
    assert never["popularity"] == pytest.approx(2 / 7)


def test_the_best_of_each_row_are_kept() -> None:
    matrix = baskets_of(SHOP).weighted(np.array([1.0, 2.0, 4.0, 1.0, 1.0, 8.0, 1.0]))

    keys: Ints = best_of_rows(matrix, 1)

    assert sorted(keys.tolist()) == [0, 5 + 1, 10 + 3]


def test_trees_learn_which_of_two_habits_is_due() -> None:
    learnt, asked = habits(1, 600), habits(2, 100)
    model = TreeRanker(least_rows=20, most_trees=60)
    model.fit(training_of(learnt))

    scores = model.scores(asked.histories)

    due = [int(max(basket)) for basket in np.split(asked.targets.items, asked.targets.starts[1:-1])]
    assert np.mean(rank(scores, 1)[:, 0] == due) > 0.95
    assert max(model.importances(), key=lambda name: model.importances()[name]) in FEATURES
    again = TreeRanker(least_rows=20, most_trees=60)
    again.fit(training_of(learnt))
    assert np.array_equal(again.scores(asked.histories), scores)


def test_what_is_no_candidate_is_never_predicted() -> None:
    model = TreeRanker(least_rows=20, most_trees=5)
    model.fit(training_of(habits(1, 300)))
    asked = habits(2, 20).histories

    found = candidates_of(asked, Sources().fit(habits(1, 300).histories))

    assert np.array_equal(np.flatnonzero(model.scores(asked).ravel() > -np.inf), found.key)


def test_a_ranker_that_learnt_nothing_says_so() -> None:
    with pytest.raises(ValueError, match="a ranker must be fitted before it is asked"):
        TreeRanker().scores(baskets_of(SHOP))
