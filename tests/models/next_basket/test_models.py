import copy
import pickle

import numpy as np
import pytest

from hand_baskets import SHOP, baskets_of
from models.next_basket.basket2vec import Basket2Vec
from models.next_basket.baskets import Baskets
from models.next_basket.cadence import Cadence
from models.next_basket.frequency import GPTopFreq, GTopFreq, PTopFreq
from models.next_basket.model import NextBasketModel, Training, rank
from models.next_basket.taste import Taste, TasteSettings
from models.next_basket.tifuknn import TifuKnn
from models.next_basket.transition import Transition
from models.next_basket.upcf import UpCf


def lists_of(model: NextBasketModel, histories: Baskets | None = None, k: int = 5) -> list[list[int]]:
    """Of a model that learnt from `SHOP`."""
    known = baskets_of(SHOP)
    model.fit(Training(known))
    return rank(model.scores(known if histories is None else histories), k).tolist()


def test_everybody_gets_the_items_of_most_baskets() -> None:
    assert lists_of(GTopFreq()) == [[1, 0, 3, 2, 4]] * 3


def test_recent_popularity_counts_newest_baskets_only() -> None:
    assert lists_of(GTopFreq(newest=1)) == [[0, 1, 3, 2, 4]] * 3


def test_own_items_come_by_how_often_they_were_bought_and_nothing_else_comes() -> None:
    assert lists_of(PTopFreq(), k=4) == [[0, 1, 2, -1], [1, -1, -1, -1], [3, 1, -1, -1]]


def test_popularity_breaks_ties_of_own_items_and_fills_the_list() -> None:
    assert lists_of(GPTopFreq()) == [[0, 1, 2, 3, 4], [1, 0, 3, 2, 4], [3, 1, 0, 2, 4]]


def test_newer_baskets_outweigh_older_ones() -> None:
    assert lists_of(GPTopFreq(basket_decay=0.5))[0] == [0, 2, 1, 3, 4]


def test_time_makes_baskets_count_less_too() -> None:
    at_days = {1: [0.0, 30.0], 2: [29.0, 30.0], 3: [0.0, 1.0]}
    histories = baskets_of({1: [[1, 0], [2]], 2: [[1], [0]], 3: [[3], [3]]}, days=at_days)
    model = GPTopFreq(half_life_days=10.0)
    model.fit(Training(histories))

    scores = model.scores(histories)

    assert scores[0, 2] / scores[0, 0] == pytest.approx(8, rel=0.01)  # 30 days: three times half
    assert scores[1, 0] / scores[1, 1] == pytest.approx(2**0.1, rel=0.01)


def test_what_is_learnt_one_by_one_is_what_counting_gives() -> None:
    model, all_at_once = GTopFreq(), GTopFreq()
    model.fit(Training(baskets_of({1: [[0, 1], [0, 2]]})))
    model.learn(np.array([0, 4], np.int32), n_baskets=2)
    all_at_once.fit(Training(baskets_of({1: [[0, 1], [0, 2], [0, 4]]})))

    histories = baskets_of(SHOP)
    assert model.scores(histories) == pytest.approx(all_at_once.scores(histories))


def test_baskets_weigh_by_their_group_and_their_place_in_it() -> None:
    settings = TasteSettings(within=0.5, between=0.4, group_size=2)

    weights = settings.weights(baskets_of({1: [[0], [1], [2]]}))

    # two groups: (0.5 * first + second) / 2 and the third alone
    assert weights.tolist() == pytest.approx([0.5 / 2 * 0.4 / 2, 1 / 2 * 0.4 / 2, 1 / 2])


def test_a_taste_learnt_basket_by_basket_is_that_of_the_whole_history() -> None:
    settings = TasteSettings(within=0.9, between=0.7, group_size=3)
    random = np.random.default_rng(4)
    history = [sorted(random.choice(9, size=3, replace=False).tolist()) for _ in range(11)]
    taste = Taste(settings)

    for n, basket in enumerate(history, start=1):
        taste.learn(np.array(basket, np.int32))
        baskets = baskets_of({1: history[:n]}, n_items=9)
        expected = baskets.weighted(settings.weights(baskets)).toarray()[0]
        assert [taste.vector().get(item, 0.0) for item in range(9)] == pytest.approx(expected)


def test_what_tifuknn_learns_is_what_it_would_have_been_fitted_on() -> None:
    learnt, fitted = TifuKnn(neighbours=2), TifuKnn(neighbours=2)
    learnt.fit(Training(baskets_of({1: [[0, 1], [0, 2]], 2: [[1]]})))
    learnt.learn(1, np.array([0], np.int32))
    learnt.learn(3, np.array([1, 3], np.int32))
    learnt.learn(3, np.array([3], np.int32))
    learnt.learn(2, np.array([1], np.int32))
    fitted.fit(Training(baskets_of(SHOP)))

    histories = baskets_of({**SHOP, 9: [[3], [1, 4]]})
    assert learnt.scores(histories) == pytest.approx(fitted.scores(histories))


def test_the_nearest_user_adds_items_and_is_never_the_user_itself() -> None:
    shop = {1: [[0, 1]], 2: [[0, 1, 2]], 3: [[4, 3]]}
    model = TifuKnn(neighbours=1, own_share=0.7)
    model.fit(Training(baskets_of(shop)))

    scores = model.scores(baskets_of(shop))

    assert scores[0].tolist() == pytest.approx([1.0, 1.0, 0.3, 0.0, 0.0])


def test_similar_users_weigh_more_the_higher_the_locality() -> None:
    shop = {1: [[0, 1]], 2: [[0, 2]], 3: [[0, 1, 3, 4]]}
    mild, strict = UpCf(asymmetry=0.5, locality=1.0), UpCf(asymmetry=0.5, locality=2.0)
    for model in (mild, strict):
        model.fit(Training(baskets_of(shop)))
    asked = baskets_of({9: [[0, 1]]})

    # cosines of the asked history: 1 to user 1, 1/2 to user 2, 2/sqrt(8) to user 3
    assert mild.scores(asked)[0].tolist() == pytest.approx(
        [1 + 1 + 0.5 + 0.7071, 2.7071, 0.5, 0.7071, 0.7071], abs=1e-4
    )
    assert strict.scores(asked)[0].tolist() == pytest.approx([2.75, 2.5, 0.25, 0.5, 0.5])


def test_what_followed_the_newest_basket_follows_again() -> None:
    model = Transition(prior=0.0)
    model.fit(Training(baskets_of(SHOP)))

    scores = model.scores(baskets_of({9: [[4], [0]], 8: [[1]]}))

    assert scores[1].tolist() == pytest.approx([1.0, 0.0, 0.5, 0.0, 0.0])
    assert scores[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1 / 3, 0.0])


def test_items_are_alike_that_share_baskets() -> None:
    random = np.random.default_rng(1)
    shop = {
        user: [(random.choice(3, size=2, replace=False) + 3 * (user % 2)).tolist() for _ in range(4)]
        for user in range(20)
    }
    model = Basket2Vec(size=2)
    model.fit(Training(baskets_of(shop, n_items=6)))

    ranked = rank(model.scores(baskets_of({1: [[0]], 2: [[5]]}, n_items=6)), 3)

    assert [set(row) for row in ranked.tolist()] == [{0, 1, 2}, {3, 4, 5}]


def test_an_item_is_due_when_its_own_interval_is_over() -> None:
    shop = {user: [[0, 1] if n % 2 else [2, 1] for n in range(6 + user % 2)] for user in range(40)}
    model = Cadence()
    model.fit(Training(baskets_of(shop)))

    ranked = rank(model.scores(baskets_of({91: [[0], [2], [0], [2], [0]], 92: [[2], [0], [2], [0], [2]]})), 1)

    assert ranked.tolist() == [[2], [0]]


@pytest.mark.parametrize(
    "model", [GTopFreq(), PTopFreq(), GPTopFreq(), TifuKnn(), UpCf(), Transition(), Basket2Vec(), Cadence()]
)
def test_asking_changes_nothing(model: NextBasketModel) -> None:
    model = copy.deepcopy(model)
    model.fit(Training(baskets_of(SHOP)))
    before = pickle.dumps(model)

    model.scores(baskets_of({99: [[4], [2, 4]]}))

    assert pickle.dumps(model) == before
