"""Every scenario answers, says what answered, and gives way to the next source in order."""

import pytest

from models.recommendation.answer import NO_PRODUCTS, RULED_OUT
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.index import make_index
from models.recommendation.recommend import recommend
from models.recommendation.request import (
    RecommendationRequest,
    Rules,
    Scenario,
)
from models.recommendation.scenarios import CHAINS


def test_every_scenario_has_a_chain_that_begins_with_it_and_ends_with_the_catalogue() -> None:
    assert {scenario: chain[0].name for scenario, chain in CHAINS.items()} == {
        scenario: scenario.value for scenario in Scenario
    }
    assert {chain[-1].name for chain in CHAINS.values()} == {"catalogue"}


@pytest.mark.parametrize("scenario", Scenario)
def test_an_answer_is_empty_only_where_nothing_is_known_or_all_is_ruled_out(scenario: Scenario) -> None:
    index, catalogue = make_index(), CatalogueView()
    request = RecommendationRequest(now_ms=0, scenario=scenario, product_id="a")
    nothing = recommend(index, catalogue, request)
    assert (nothing.items, nothing.empty_because) == ((), NO_PRODUCTS)
    catalogue.see("b", SeenProduct("shirts"))
    found = recommend(index, catalogue, request)
    assert [one.product_id for one in found.items] == ["b"]
    assert found.answered_by == found.items[0].source
    rules = Rules(exclude=frozenset({"b"}))
    barred = RecommendationRequest(now_ms=0, scenario=scenario, product_id="a", rules=rules)
    assert recommend(index, catalogue, barred).empty_because == RULED_OUT
