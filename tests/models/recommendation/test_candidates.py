"""What a ranker reads of candidates: what the live path knows of each at the moment of the question."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from contracts.products import Amount
from contracts.sessions import BOUGHT, CARTED, VIEWED, StoredSession
from models.recommendation.candidates import FEATURES, NOT_LEARNT
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.python_sessions import PythonSessions
from models.recommendation.request import RecommendationRequest, Step
from models.recommendation.session_model import CandidateRanker
from models.recommendation.sources.source import Asked
from models.recommendation.sources.visitor import DEFAULT, describe_candidates, find_next

NOW_MS = 1_800_000_000_000
NAN = float("nan")


class Given:
    """Scores by product; NaN for all others."""

    version = "given"
    ranker: CandidateRanker | None = None

    def __init__(self, scores: dict[str, float] | None) -> None:
        self._scores = scores

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> npt.NDArray[np.float64] | None:
        del products
        if self._scores is None:
            return None
        return np.array([self._scores.get(name, NAN) for name in candidates])


def index() -> PythonSessions:
    """Eight went from tea to a cup, two to a pot; two looked at a lamp and bought it."""
    made = PythonSessions(100, 100)
    others = ["cup"] * 8 + ["pot"] * 2
    for n, other in enumerate(others):
        made.put(
            f"v{n}", 0, StoredSession(NOW_MS - 60_000, NOW_MS - 50_000, ("tea", other), (VIEWED, VIEWED))
        )
    for n in range(2):
        made.put(f"b{n}", 0, StoredSession(NOW_MS - 60_000, NOW_MS - 50_000, ("lamp",), (VIEWED | BOUGHT,)))
    return made


def catalogue() -> CatalogueView:
    made = CatalogueView()
    made.see("tea", SeenProduct("drinks", "Leaf", Amount(500, "EUR")))
    made.see("cup", SeenProduct("kitchen", "Leaf", Amount(1_000, "EUR")))
    made.see("pot", SeenProduct("drinks", "Clay", Amount(500, "USD")))
    made.see("lamp", SeenProduct("drinks", None, None))
    return made


def described(
    steps: Sequence[Step], model: Given, products: CatalogueView | None = None
) -> dict[str, dict[str, float]]:
    """Features by product."""
    request = RecommendationRequest(now_ms=NOW_MS, prefix=tuple(steps))
    asked = Asked(index(), products or CatalogueView(), request, 10)
    ranked = describe_candidates(asked, model)
    assert ranked is not None
    assert ranked.found == list(find_next(asked, DEFAULT))
    names = [product_id for product_id, _ in ranked.found]
    return {
        name: dict(zip(FEATURES, row.tolist(), strict=True))
        for name, row in zip(names, ranked.rows, strict=True)
    }


def viewed(*products: str) -> list[Step]:
    return [Step(product_id, VIEWED, NOW_MS) for product_id in products]


def test_the_parts_of_the_sessions_score_add_up() -> None:
    found = described(viewed("lamp", "tea"), Given(None), catalogue())
    for row in found.values():
        parts = sum(row[name] for name in ("votes", "again", "gone_on_to", "of_categories"))
        assert row["index_score"] == pytest.approx(parts, abs=1e-5)
    assert found["tea"]["again"] == DEFAULT.latest_again
    assert found["cup"]["gone_on_to"] > found["pot"]["gone_on_to"] > 0
    assert found["cup"]["of_categories"] == 0 < found["pot"]["of_categories"]
    assert [row["index_rank"] for row in found.values()] == list(range(1, len(found) + 1))
    places = [row["index_place"] for row in found.values()]
    assert (places[0], places[-1]) == (1, 0)


def test_pairs_are_cosines_of_the_sets_of_sessions() -> None:
    found = described(viewed("lamp", "tea"), Given(None))
    assert found["cup"]["cosine_latest"] == pytest.approx(8 / (10 * 8) ** 0.5)
    assert found["cup"]["visits_latest"] == 8
    assert found["lamp"]["cosine_latest"] == 0
    assert found["lamp"]["cosine_highest"] == pytest.approx(1.0)
    assert found["lamp"]["cosine_sum"] == pytest.approx(0.8)


def test_what_a_network_has_not_learnt_is_told_from_what_it_thinks_unlikely() -> None:
    found = described(viewed("tea"), Given({"cup": -0.5, "pot": 0.5}))
    assert (found["pot"]["network_rank"], found["cup"]["network_rank"], found["tea"]["network_rank"]) == (
        1,
        2,
        3,
    )
    assert (found["pot"]["network_place"], found["cup"]["network_place"]) == (1, 0)
    assert (found["tea"]["network_score"], found["tea"]["network_place"]) == (NOT_LEARNT, -1)
    assert {row["network_score"] for row in described(viewed("tea"), Given(None)).values()} == {NOT_LEARNT}


def test_popularity_is_that_of_all_and_of_the_newest_sessions() -> None:
    found = described(viewed("tea", "lamp"), Given(None))
    assert found["tea"]["log_share"] == pytest.approx(np.log(10.5 / 13))
    assert found["lamp"]["log_recent_share"] > found["tea"]["log_recent_share"]
    assert [found[name]["log_since"] for name in ("lamp", "tea")] == pytest.approx([0, np.log(3)])
    assert [found[name]["strong_share"] for name in ("lamp", "tea")] == pytest.approx([2 / 7, 0])
    assert found["tea"]["latest_log_share"] == found["lamp"]["log_share"]


def test_what_the_visitor_did_with_a_candidate_counts() -> None:
    steps = [*viewed("tea", "cup"), Step("tea", CARTED, NOW_MS), Step("tea", BOUGHT, NOW_MS), *viewed("lamp")]
    found = described(steps, Given(None))
    tea = found["tea"]
    assert (tea["times"], tea["steps_back"], tea["carted"], tea["bought"]) == (3, 1, 1, 1)
    assert (found["cup"]["times"], found["cup"]["steps_back"], found["cup"]["carted"]) == (1, 3, 0)
    assert (found["pot"]["times"], found["pot"]["steps_back"] > 100) == (0, True)
    assert (tea["steps"], tea["products"], tea["session_steps"]) == (5, 3, 5)


def test_categories_brands_and_prices_are_held_against_the_visitors() -> None:
    found = described(viewed("lamp", "tea"), Given(None), catalogue())
    assert (found["pot"]["same_category"], found["cup"]["same_category"]) == (1, 0)
    assert (found["pot"]["category_share"], found["cup"]["category_share"]) == (1, 0)
    assert (found["cup"]["same_brand"], found["pot"]["same_brand"]) == (1, 0)
    assert found["cup"]["log_price_ratio"] == pytest.approx(np.log(2))
    assert found["pot"]["log_price_ratio"] == 0  # of another currency


def test_every_feature_is_a_number() -> None:
    for products in (CatalogueView(), catalogue()):
        found = described(viewed("nothing", "tea", "unheard"), Given({}), products)
        assert np.isfinite([list(row.values()) for row in found.values()]).all()
