"""Ranks, lists, and the figures from them."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.next_item.cases import cases_of
from models.next_item.evaluation.figures import gains, kinds_of, measure_lists, resample
from models.next_item.evaluation.ranking import LIST_SIZE, MISSED, Ranked, rank_cases, rank_targets, ranks
from models.next_item.model import Scores
from models.next_item.sessions import UNKNOWN, Codes, Sessions, sessions_of
from models.next_item.top import top_items
from models.next_item.transitions import cooccurrence

NEVER = -np.inf


class Fixed:
    """Answers the same scores to everybody."""

    name = "fixed"

    def __init__(self, *scores: float) -> None:
        self._scores = np.array([scores], dtype=np.float32)

    def fit(self, sessions: Sessions) -> None:
        """Nothing to learn."""

    def scores(self, prefixes: Sequence[Codes]) -> Scores:
        return np.repeat(self._scores, len(prefixes), axis=0)


def test_ties_stand_before_the_target() -> None:
    scores = np.array([[3, 1, 3, 2, NEVER]], dtype=np.float32).repeat(6, axis=0)
    target = np.array([0, 1, 2, 3, 4, -1], dtype=np.int32)
    assert ranks(scores, target).tolist() == [2, 4, 2, 3, MISSED, MISSED]


def test_a_score_that_is_no_number_is_a_miss() -> None:
    scores = np.array([[np.nan, 1, 2]], dtype=np.float32).repeat(2, axis=0)
    assert ranks(scores, np.array([0, 2], dtype=np.int32)).tolist() == [MISSED, 2]


def test_lists_end_where_the_model_tells_nothing_apart() -> None:
    scores = np.array([[0, 5, 0, 7, NEVER], [1, 1, 1, 1, 1]], dtype=np.float32)
    first, second = top_items(scores, np.array([0, 1], dtype=np.float32), LIST_SIZE)
    assert first[:3].tolist() == [3, 1, -1]
    assert set(first[2:].tolist()) == set(second.tolist()) == {-1}


def test_lists_have_the_best_20_in_order() -> None:
    scores = np.random.default_rng(1).permutation(200).astype(np.float32)[None]
    (top,) = top_items(scores, scores.min(axis=1), LIST_SIZE)
    assert scores[0, top].tolist() == list(range(199, 179, -1))


@pytest.mark.parametrize("n_items", [7, 1_300, 3_001])
@pytest.mark.parametrize("levels", [50, 1_000_000])
def test_lists_are_those_of_sorting_all_items(n_items: int, levels: int) -> None:
    scores = np.random.default_rng(2).integers(0, levels, (40, n_items)).astype(np.float32)
    scores[0], scores[1, 3:], scores[:, 0] = NEVER, NEVER, NEVER
    lowest = scores.min(axis=1)
    lowest[2] = np.median(scores[2])
    top = top_items(scores, lowest, LIST_SIZE)
    for own, limit, found in zip(scores, lowest, top, strict=True):
        best = np.argsort(-own, kind="stable")[:LIST_SIZE]
        best = best[own[best] > limit]
        assert found.tolist() == [*best.tolist(), *[UNKNOWN] * (LIST_SIZE - len(best))]


def test_ranks_of_many_batches_are_those_of_single_cases() -> None:
    train = sessions_of(np.random.default_rng(3).integers(0, 60, (200, 4)).tolist(), n_items=60)
    cases, model = cases_of(train), cooccurrence()
    model.fit(train)
    together = rank_targets(model, cases, 60, exclude_current=True)
    found = rank_cases(model, cases, 60, exclude_current=True, progress=lambda _: None)
    alone = [
        rank_targets(model, cases.take(slice(at, at + 1)), 60, exclude_current=True)[0]
        for at in range(0, len(cases), 50)
    ]
    assert len(cases) > 512  # more than a batch
    assert found.rank.tolist() == together.tolist()
    assert alone == together[::50].tolist()


def test_the_latest_item_can_be_excluded() -> None:
    cases = cases_of(sessions_of([[0, 1, 1]], n_items=3))
    model = Fixed(3, 2, 1)

    def rank(*, exclude: bool) -> list[int]:
        found = rank_cases(model, cases, 3, exclude_current=exclude, progress=lambda _: None)
        return found.rank.tolist()

    assert rank(exclude=False) == [2, 2]
    assert rank(exclude=True) == [1, MISSED]


def test_scores_of_another_shape_are_refused() -> None:
    cases = cases_of(sessions_of([[0, 1]], n_items=3))
    with pytest.raises(ValueError, match=r"fixed must answer scores of shape \(1, 3\), got \(1, 2\)"):
        rank_cases(Fixed(1, 2), cases, 3, exclude_current=False, progress=lambda _: None)


def test_gains_of_ranks() -> None:
    found = gains(np.array([1, 3, 6, 21, MISSED]))
    assert found["recall@5"].tolist() == [1, 1, 0, 0, 0]
    assert found["recall@20"].tolist() == [1, 1, 1, 0, 0]
    assert found["mrr@5"].tolist() == [1, 1 / 3, 0, 0, 0]
    assert found["ndcg@10"].tolist() == [1, 0.5, 1 / np.log2(7), 0, 0]


def test_lists_are_measured_against_training() -> None:
    cases = cases_of(sessions_of([[0, 1], [2, 3]], n_items=4))
    top = np.full((2, 20), -1, dtype=np.int32)
    top[0, :2] = [0, 1]
    top[1, 0] = 1
    counts = np.array([4, 2, 1, 1])
    found = measure_lists(Ranked(np.array([2, MISSED]), top, 0, 0), cases, counts)
    assert found["coverage"] == 2 / 4
    assert found["popularity_bias"] == pytest.approx((4 + 2 + 2) / 3 / 1.5)
    assert found["novelty_bits"] == pytest.approx((1 + 2 + 2) / 3)
    assert found["repeats"] == pytest.approx(1 / 3)


def test_kinds_are_actions_and_lengths() -> None:
    actions = np.array([0, 1, 0, 0, 2], dtype=np.int8)
    cases = cases_of(sessions_of([[0, 1, 2], [3, 0]], n_items=4)._replace(actions=actions))
    kinds = {name: mask.tolist() for name, mask in kinds_of(cases).items()}
    assert kinds == {
        "next view": [False, True, False],
        "next cart": [True, False, False],
        "next purchase": [False, False, True],
        "prefix 1": [True, False, True],
        "prefix 2": [False, True, False],
    }


def test_sessions_are_drawn_not_cases() -> None:
    cases = cases_of(sessions_of([[0] * 3, [1] * 5], n_items=2))
    drawn = resample(cases, [np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])], rounds=50)
    assert drawn[0, 0] == pytest.approx(1 / 3)
    assert set(np.round(drawn[:, 0], 6)) == {0.0, round(1 / 3, 6), 1.0}
