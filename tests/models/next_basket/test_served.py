"""A ranker behind a request: the features of training, read from an artefact, without other customers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from hand_baskets import baskets_of
from models.artefacts.card import CARD_FILE, ArtefactError, write_artefact
from models.next_basket.baskets import Baskets, Cases
from models.next_basket.candidates import candidates_of
from models.next_basket.features import FEATURES, NEED_OTHERS
from models.next_basket.item_counts import decode_counts
from models.next_basket.model import Examples, Training
from models.next_basket.ranker import TreeRanker
from models.next_basket.served import COUNTS_FILE, ServedRanker, candidates_of_one, load
from models.next_basket.training.export import counts_of, export_ranker

pytestmark = pytest.mark.slow
N_ITEMS = 30
IDS = [f"p{item}" for item in range(N_ITEMS)]


def shop(seed: int, n_users: int = 200) -> Cases:
    """Users with two items of their own, bought in turn every week, and one of everybody's."""
    random = np.random.default_rng(seed)
    histories, futures, days = {}, {}, {}
    for user in range(n_users):
        own = random.choice(np.arange(10, N_ITEMS), 2, replace=False).tolist()
        length = int(random.integers(4, 9))
        baskets = [[own[n % 2], int(random.integers(0, 10))] for n in range(length + 1)]
        histories[user], futures[user], days[user] = (
            baskets[:-1],
            baskets[-1:],
            [7.0 * n for n in range(length)],
        )
    return Cases(baskets_of(histories, N_ITEMS, days), baskets_of(futures, N_ITEMS))


@pytest.fixture(scope="module")
def ranker() -> TreeRanker:
    cases = shop(1)
    ranker = TreeRanker(with_others=False, least_rows=20, most_trees=30)
    ranker.fit(Training(cases.histories, [Examples(cases.histories, cases)]))
    return ranker


@pytest.fixture(scope="module")
def folder(ranker: TreeRanker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("next-basket")
    model, card, counts = export_ranker(ranker, shop(1).histories, IDS, training={}, metrics={}, licence="")
    write_artefact(folder, model, card, {COUNTS_FILE: counts})
    return folder


def newest_first(history: Baskets) -> tuple[list[list[str]], Sequence[float]]:
    """One history as a request has it."""
    baskets = np.split(history.items, history.starts[1:-1])
    assert history.at_days is not None
    ages = history.at_days[-1] - history.at_days
    return [[IDS[item] for item in basket] for basket in baskets[::-1]], ages[::-1].tolist()


def test_a_request_has_the_features_of_training(ranker: TreeRanker) -> None:
    assert ranker.sources is not None
    histories = shop(2, 20).histories
    counts = decode_counts(counts_of(shop(1).histories, IDS, ranker.sources.transition).encode())
    together = candidates_of(histories, ranker.sources)
    for user in range(20):
        key, features = candidates_of_one(histories.of_users(np.array([user])), counts)
        mine = together.user == user
        assert (together.key[mine] % N_ITEMS).tolist() == key.tolist()
        assert features == pytest.approx(together.features[mine], rel=1e-4, abs=1e-5)


def test_an_artefact_ranks_as_the_ranker_that_it_was_made_of(ranker: TreeRanker, folder: Path) -> None:
    served = load(folder)
    assert NEED_OTHERS.isdisjoint(served.card.features)
    histories = shop(3, 20).histories
    scores = ranker.scores(histories)
    for user in range(20):
        ranked = served.rank(*newest_first(histories.of_users(np.array([user]))), 3)
        expected = np.sort(scores[user])[::-1][:3]
        assert [each.score for each in ranked] == pytest.approx(expected.tolist(), abs=1e-4)
        assert scores[user, IDS.index(ranked[0].product_id)] == pytest.approx(ranked[0].score, abs=1e-4)


def test_items_without_counts_are_ranked_by_the_history_alone(folder: Path) -> None:
    ranked = load(folder).rank([["new", "p1"], ["newer"], ["new", "p2"]], None, 100)
    assert {"new", "newer", "p1"} <= {each.product_id for each in ranked}
    assert len({each.product_id for each in ranked}) == len(ranked)
    follower = next(each for each in ranked if each.after is not None)
    assert follower.after == "p1"


def test_parts_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("model.onnx", CARD_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ArtefactError, match=f"no readable {COUNTS_FILE}"):
        load(tmp_path)
    (tmp_path / COUNTS_FILE).write_bytes((folder / COUNTS_FILE).read_bytes() + b" ")
    with pytest.raises(ArtefactError, match="does not belong to"):
        load(tmp_path)
    with pytest.raises(ValueError, match="the file of counts is damaged"):
        decode_counts(b"no archive")


def test_a_ranker_that_compares_customers_is_not_exported() -> None:
    cases = shop(1, 60)
    ranker = TreeRanker(least_rows=20, most_trees=2)
    ranker.fit(Training(cases.histories, [Examples(cases.histories, cases)]))
    with pytest.raises(ValueError, match="without others"):
        export_ranker(ranker, cases.histories, IDS, training={}, metrics={}, licence="")


def test_features_are_named_once() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
    assert set(FEATURES) >= NEED_OTHERS


def test_a_loaded_ranker_names_its_version(folder: Path) -> None:
    served: ServedRanker = load(folder)
    assert served.version == served.card.version
