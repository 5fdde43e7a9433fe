"""A trained model of sessions beside the recent sessions."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from contracts.sessions import VIEWED, StoredSession
from models.recommendation.candidates import FEATURES
from models.recommendation.catalogue import CatalogueView
from models.recommendation.python_sessions import PythonSessions
from models.recommendation.recent_sessions import Scored
from models.recommendation.recommend import recommend
from models.recommendation.request import ActionWeights, RecommendationRequest, Step
from models.recommendation.session_model import (
    PAUSE_MS,
    WEIGHT,
    CandidateRanker,
    blend,
    reorder,
    session_of,
)

NOW_MS = 1_800_000_000_000
NAN = float("nan")


class Likes:
    """A model that likes one product; `asked` are the sessions it was asked after."""

    version = "likes"
    ranker: CandidateRanker | None = None

    def __init__(self, product_id: str) -> None:
        self.product_id = product_id
        self.asked: list[list[str]] = []

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> npt.NDArray[np.float64] | None:
        self.asked.append(list(products))
        return (
            np.array([1.0 if name == self.product_id else 0.0 for name in candidates]) if products else None
        )


class ByColumn:
    """A ranker that goes by one feature; `asked` are the rows it got."""

    def __init__(self, name: str) -> None:
        self._column = FEATURES.index(name)
        self.asked: list[npt.NDArray[np.float32]] = []

    def scores(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.asked.append(rows)
        return np.asarray(rows[:, self._column])


def index() -> PythonSessions:
    """Many who looked at `tea` went on to `cup`, few to `pot`."""
    made = PythonSessions(100, 100)
    for n in range(10):
        other = "cup" if n < 8 else "pot"
        session = StoredSession(NOW_MS - 60_000, NOW_MS - 50_000, ("tea", other), (VIEWED, VIEWED))
        made.put(f"v{n}", 0, session)
    return made


def request(**fields: object) -> RecommendationRequest:
    prefix = (Step("tea", VIEWED, NOW_MS - 1_000),)
    return RecommendationRequest(now_ms=NOW_MS, prefix=prefix, **fields)  # type: ignore[arg-type]


def test_the_session_is_what_follows_the_last_pause_without_removals() -> None:
    late = NOW_MS - PAUSE_MS - 1
    steps = [
        Step("a", VIEWED, late - 1),
        Step("b", VIEWED, NOW_MS),
        Step("c", 0, NOW_MS + 5),
        Step("b", VIEWED, NOW_MS + 9),
    ]
    assert session_of(steps) == ["b", "b"]
    assert session_of([Step("a", VIEWED, NOW_MS), Step("b", VIEWED, NOW_MS + PAUSE_MS)]) == ["a", "b"]
    assert session_of([]) == []


def test_both_sides_place_a_candidate_between_their_lowest_and_highest() -> None:
    found = [Scored("a", 4.0), Scored("b", 3.0), Scored("c", 2.0)]
    blended = blend(found, np.array([-1.0, 1.0, 0.0]))
    assert [one.product_id for one in blended] == ["b", "a", "c"]
    expected = [0.5 + 0.5 * WEIGHT, 1 - WEIGHT, 0.5 * WEIGHT]
    assert [one.score for one in blended] == pytest.approx(expected, abs=1e-5)


def test_the_last_on_both_sides_can_still_be_lifted_by_a_boost() -> None:
    assert blend([Scored("a", 4.0), Scored("b", 3.0)], np.array([1.0, 0.0]))[1].score > 0


@pytest.mark.parametrize("scores", [[NAN, NAN, NAN], [NAN, NAN, 0.0]])
def test_what_the_model_has_not_learnt_keeps_its_place(scores: list[float]) -> None:
    found = [Scored("a", 4.0), Scored("b", 3.0), Scored("c", 0.0)]
    places = {one.product_id: one.score for one in blend(found, np.array(scores))}
    assert (places["a"], places["b"]) == pytest.approx((1.0, 0.75), abs=1e-5)


def test_a_single_candidate_is_the_answer() -> None:
    ((product_id, score),) = blend([Scored("a", 4.0)], np.array([-0.3]))
    assert product_id == "a"
    assert score == pytest.approx(1.0, abs=1e-5)


def test_the_model_changes_the_order_of_what_is_recommended() -> None:
    model = Likes("pot")
    with_page = request(product_id="tea")
    plain = [item.product_id for item in recommend(index(), CatalogueView(), with_page).items]
    assert plain[:2] == ["cup", "pot"]
    found = [item.product_id for item in recommend(index(), CatalogueView(), with_page, model).items]
    assert set(found) == set(plain)
    assert model.asked == [["tea"]]
    liked = recommend(index(), CatalogueView(), with_page, model).items
    assert {item.product_id: item.score for item in liked}["pot"] >= WEIGHT


def test_other_weights_of_actions_are_not_what_the_model_was_trained_for() -> None:
    model = Likes("pot")
    recommend(index(), CatalogueView(), request(weights=ActionWeights(0, 0, 1)), model)
    assert model.asked == []


def test_ranked_candidates_have_the_odds_against_the_first_one() -> None:
    found = [Scored("a", 4.0), Scored("b", 3.0), Scored("c", 2.0), Scored("d", 1.0)]
    ranked = reorder(found, np.array([0.0, np.log(2.0)], np.float32))
    assert [one.product_id for one in ranked] == ["b", "a", "c", "d"]
    assert [one.score for one in ranked] == pytest.approx([1.0, 0.5, 0.5, 0.25])


def test_the_last_of_many_ranked_can_still_be_lifted_by_a_boost() -> None:
    ranked = reorder([Scored("a", 4.0), Scored("b", 3.0), Scored("c", 0.0)], np.array([900.0, -900.0]))
    assert [one.product_id for one in ranked] == ["a", "b", "c"]
    assert all(one.score > 0 for one in ranked)


def test_a_ranker_decides_where_the_model_has_one() -> None:
    model = Likes("pot")
    model.ranker = ranker = ByColumn("network_score")
    items = recommend(index(), CatalogueView(), request(product_id="tea"), model).items
    assert [item.product_id for item in items] == ["pot", "cup"]
    (rows,) = ranker.asked
    assert rows.shape == (3, len(FEATURES))  # the visitor's own product too, which no rule lets through
    model.ranker = ByColumn("index_score")
    items = recommend(index(), CatalogueView(), request(product_id="tea"), model).items
    assert [item.product_id for item in items] == ["cup", "pot"]


def test_a_visitor_of_whom_nothing_is_known_is_not_ranked() -> None:
    model = Likes("pot")
    model.ranker = ranker = ByColumn("index_score")
    recommend(index(), CatalogueView(), RecommendationRequest(now_ms=NOW_MS), model)
    assert ranker.asked == []
