import numpy as np
import pytest

from hand_baskets import baskets_of
from models.next_basket.baskets import Baskets
from models.next_basket.model import Training, rank
from models.next_basket.training.network import BasketRnn

N_ITEMS = 12
pytestmark = pytest.mark.slow


def turns(seed: int, n_users: int) -> Baskets:
    """Users who go through items 0, 1, 2 and 3 in turn, each beside one of the others."""
    random = np.random.default_rng(seed)
    return baskets_of(
        {
            user: [[(user + n) % 4, int(random.integers(4, 11))] for n in range(int(random.integers(3, 9)))]
            for user in range(n_users)
        },
        N_ITEMS,
    )


def test_the_network_learns_an_order_of_baskets() -> None:
    model = BasketRnn(size=16, epochs=12)
    model.fit(Training(turns(1, 300)))
    asked = turns(2, 100)

    scores = model.scores(asked)

    newest = asked.items[asked.starts[asked.user_starts[1:] - 1]]  # items are in order of codes
    assert np.mean(rank(scores, 1)[:, 0] == (newest + 1) % 4) > 0.9
    assert model.losses[-1] < model.losses[0]
    assert (scores[:, 11] == scores.min(axis=1)).all()  # an item of no basket


def test_the_same_seed_gives_the_same_network() -> None:
    first, second = BasketRnn(size=8, epochs=2), BasketRnn(size=8, epochs=2)
    for model in (first, second):
        model.fit(Training(turns(1, 60)))

    assert np.array_equal(first.scores(turns(2, 10)), second.scores(turns(2, 10)))


def test_what_others_buy_in_the_same_batch_changes_nothing() -> None:
    model = BasketRnn(size=8, epochs=1)
    model.fit(Training(turns(1, 60)))
    asked = turns(2, 10)

    alone = model.scores(asked.of_users(np.array([3])))

    assert alone[0] == pytest.approx(model.scores(asked)[3], abs=1e-5)
