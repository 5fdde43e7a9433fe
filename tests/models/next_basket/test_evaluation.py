import math

import numpy as np
import pytest

from hand_baskets import SHOP, baskets_of
from models.next_basket.baskets import Cases
from models.next_basket.evaluation.comparison import Row, best_list, compare
from models.next_basket.evaluation.figures import candidate_recall, figures_of, seen_shares
from models.next_basket.evaluation.report import to_plain
from models.next_basket.evaluation.splits import split_by_time, split_by_user
from models.next_basket.frequency import GPTopFreq, GTopFreq
from models.next_basket.model import rank


def test_equal_scores_count_against_the_model() -> None:
    scores = np.array([[1.0, 2.0, 1.0, 1.0, -np.inf]], np.float32)

    assert rank(scores, 3).tolist() == [[1, 0, 2]]
    assert rank(scores, 3, [np.array([0], np.int32)]).tolist() == [[1, 2, 3]]
    assert rank(scores, 5).tolist() == [[1, 0, 2, 3, -1]]


def test_figures_of_a_list_are_those_of_the_definitions() -> None:
    cases = Cases(baskets_of({1: [[0], [0, 1]]}), baskets_of({1: [[1, 2, 3]]}))
    ranked = np.full((1, 20), -1, np.int32)
    ranked[0, :4] = [0, 1, 4, 3]

    found = figures_of(ranked, cases, np.array([0.5, 0.25, 0.5, 0.125, 0.25]))

    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert {name: values[0] for name, values in found.items() if "20" not in name} == pytest.approx({
        "recall@10": 2 / 3, "ndcg@10": (1 / math.log2(3) + 1 / math.log2(5)) / ideal, "phr@10": 1,
        "repeat_recall@10": 1, "explore_recall@10": 1 / 2, "top@1": 0, "top@5": 1, "top@10": 1,
        "new": 2 / 4, "surprise": (1 + 2 + 2 + 3) / 4,
    })  # fmt: skip


def test_the_ideal_list_is_the_whole_basket() -> None:
    truth = list(range(25))
    cases = Cases(baskets_of({1: [[0]]}, n_items=25), baskets_of({1: [truth]}, n_items=25))

    found = figures_of(np.arange(20, dtype=np.int32)[None, :], cases, np.full(25, 0.5))

    gain = [1 / math.log2(place + 2) for place in truth]
    assert found["ndcg@20"][0] == pytest.approx(sum(gain[:20]) / sum(gain))
    assert found["recall@20"][0] == pytest.approx(20 / 25)


def test_what_a_model_does_not_score_it_cannot_find() -> None:
    scores = np.array([[1.0, -np.inf, 0.0, -np.inf, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0]], np.float32)

    assert candidate_recall(scores, baskets_of({1: [[0, 1, 3, 4]], 2: [[1, 3]]})).tolist() == [0.5, 1.0]


def test_a_case_without_new_items_has_no_recall_of_them() -> None:
    cases = Cases(baskets_of({1: [[0], [0, 1]]}), baskets_of({1: [[1]]}))

    found = figures_of(np.full((1, 20), -1, np.int32), cases, np.full(5, 0.5))

    assert np.isnan(found["explore_recall@10"][0])
    assert found["repeat_recall@10"][0] == 0


def test_an_item_never_seen_counts_as_one_of_one_basket_more() -> None:
    assert seen_shares(baskets_of(SHOP)).tolist() == pytest.approx([3 / 8, 4 / 8, 1 / 8, 2 / 8, 1 / 8])


def test_each_user_is_measured_once_by_models_that_do_not_know_it() -> None:
    histories = baskets_of({user: [[user % 5], [0]] for user in range(50)})
    futures = baskets_of({user: [[1]] for user in range(50)})

    rounds = list(split_by_user(histories, futures, folds=5, seed=3))

    assert sorted(user for each in rounds for user in each.test.cases.histories.users) == list(range(50))
    for each in rounds:
        measured = set(each.test.cases.histories.users.tolist())
        tuned = set(each.tuning.cases.histories.users.tolist())
        assert len(each.test.training.known.users) == 40
        assert measured.isdisjoint(each.test.training.known.users.tolist())
        assert (measured | tuned).isdisjoint(each.tuning.training.known.users.tolist())


def test_other_users_future_baskets_are_no_part_of_what_is_counted() -> None:
    histories = baskets_of({user: [[0], [0]] for user in range(10)})
    futures = baskets_of({user: [[4]] for user in range(10)})

    (first, *_) = split_by_user(histories, futures, folds=5, seed=0)

    assert set(first.test.training.known.items.tolist()) == {0}
    assert set(first.test.training.examples[0].cases.targets.items.tolist()) == {4}


def test_a_cut_in_time_hides_from_models_what_came_after_it() -> None:
    days = {1: [1.0, 11.0, 12.0, 21.0, 23.0], 2: [2.0, 13.0, 22.0], 3: [1.0, 2.0, 3.0]}
    baskets = baskets_of({1: [[0], [1], [2], [3], [4]], 2: [[0], [1], [2]], 3: [[0], [0], [0]]}, days=days)

    found = split_by_time(baskets, cut=20.0, until=30.0, least=2)

    training, cases = found.test
    assert training.known.items.tolist() == [0, 1, 2, 0, 1, 0, 0, 0]
    assert training.examples[0].known.items.tolist() == [0, 0, 0, 0, 0]
    assert training.examples[0].cases.targets.items.tolist() == [1, 2, 1]
    assert cases.targets.items.tolist() == [4, 2]
    assert cases.histories.counts().tolist() == [4, 2]
    assert found.tuning.cases.targets.items.tolist() == [2]
    assert found.tuning.training.known.items.tolist() == [0, 0, 0, 0, 0]


def test_a_cut_behind_everything_is_refused() -> None:
    baskets = baskets_of(SHOP, days={1: [1, 2, 3], 2: [2, 4], 3: [3, 5]})
    with pytest.raises(ValueError, match="no user has a basket from the cut on and 3 or more before it"):
        split_by_time(baskets, cut=9.0, until=10.0, least=3)


def test_settings_are_chosen_on_the_time_before_what_is_measured() -> None:
    # Item 20 is bought twice, then ten others once each, then item 20 again: the newest ten mislead.
    history = [[20], [20], *([item] for item in range(10)), [20]]
    users = dict.fromkeys(range(4), history)
    days = {user: [number + 10.0 * (user % 2) for number in range(len(history))] for user in users}
    rows = {
        "popular": Row(GTopFreq),
        "own": Row(GPTopFreq, [{"basket_decay": 0.5}, {"basket_decay": 1.0}], is_list=True),
    }
    part = split_by_time(baskets_of(users, 21, days), cut=20.0, until=30.0, least=3)

    popular, own = compare([part], rows)

    assert own.settings == [{"basket_decay": 1.0}]
    assert own.mean("recall@10") == own.mean("top@1") == 1
    assert best_list([popular, own]) is own
    plain = to_plain([popular, own], own)
    assert plain["models"][1]["versus_reference"]["recall@10"] == {"value": 0, "low": 0, "high": 0}
