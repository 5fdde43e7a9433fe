"""The shop's rules: what is never shown, what comes first, and what is contradictory."""

from typing import Any

import pytest

from contracts.products import Amount, Product, Promotion
from contracts.sessions import BOUGHT, CARTED, VIEWED, StoredSession
from models.recommendation.answer import Reason, Recommendation
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.index import make_index
from models.recommendation.reasons import WORDS, say_why
from models.recommendation.recommend import recommend
from models.recommendation.request import (
    ActionWeights,
    Boost,
    InvalidRequest,
    PriceRange,
    RecommendationRequest,
    Rules,
    Scenario,
    Step,
)

NOW_MS = 1_000_000


def euros(minor: int) -> Amount:
    return Amount(minor, "EUR")


@pytest.fixture
def catalogue() -> CatalogueView:
    view = CatalogueView()
    shirts, trousers = ("Shirts",), ("Trousers",)
    view.tell("shirt", Product(title="Stride Tee", price=euros(2_000), brand="Stride", categories=shirts))
    polo = Product(title="Stride Polo", price=euros(3_000), brand="Stride", categories=shirts)
    view.tell("polo", polo._replace(regions=("DE",)))
    view.tell("jeans", Product(title="Loom Jeans", price=euros(6_000), brand="Loom", categories=trousers))
    view.tell("sold", Product(title="Stride Sock", stock=0))
    view.tell("gone", Product(title="Loom Sock", active=False))
    view.tell("later", Product(title="Loom Hat", published_ms=NOW_MS + 1))
    view.see("seen", SeenProduct("Shirts", "Loom", euros(1_000)))
    return view


def ask(catalogue: CatalogueView, scenario: Scenario = Scenario.TRENDING, **asked: Any) -> Recommendation:
    request = RecommendationRequest(now_ms=NOW_MS, scenario=scenario, **asked)
    return recommend(make_index(), catalogue, request)


def shown(catalogue: CatalogueView, scenario: Scenario = Scenario.TRENDING, **asked: Any) -> set[str]:
    return {one.product_id for one in ask(catalogue, scenario, **asked).items}


def test_what_cannot_be_bought_is_never_shown(catalogue: CatalogueView) -> None:
    assert shown(catalogue) == {"shirt", "polo", "jeans", "seen"}
    assert shown(catalogue, rules=Rules(region="FR")) == {"shirt", "jeans", "seen"}


def test_rules_leave_out_products(catalogue: CatalogueView) -> None:
    assert shown(catalogue, product_id="jeans") == {"shirt", "polo", "seen"}
    assert shown(catalogue, cart=("shirt",)) == {"polo", "jeans", "seen"}
    assert "shirt" in shown(catalogue, cart=("shirt",), rules=Rules(exclude_in_cart=False))
    assert shown(catalogue, bought=frozenset({"polo"}), rules=Rules(exclude_bought=True)) == {
        "shirt",
        "jeans",
        "seen",
    }
    steps = (Step("seen", VIEWED, 0),)
    assert "seen" not in shown(catalogue, prefix=steps, rules=Rules(exclude_seen=True))
    assert shown(catalogue, rules=Rules(categories=frozenset({"Shirts"}))) == {"shirt", "polo", "seen"}
    assert shown(catalogue, rules=Rules(exclude_categories=frozenset({"Shirts"}))) == {"jeans"}


def test_prices_are_those_of_now(catalogue: CatalogueView) -> None:
    rules = Rules(price=PriceRange("EUR", 1_500, 3_000))
    assert shown(catalogue, rules=rules) == {"shirt", "polo"}
    offer = Promotion(euros(2_500), None, NOW_MS + 1)
    catalogue.tell("jeans", Product(price=euros(6_000), promotion=offer))
    assert shown(catalogue, rules=rules) == {"shirt", "polo", "jeans"}
    assert shown(catalogue, rules=Rules(price=PriceRange("USD"))) == set()


def test_pins_come_first_and_boosts_move_up(catalogue: CatalogueView) -> None:
    answer = ask(catalogue, rules=Rules(pins=("jeans", "sold", "nothing")))
    assert [one.product_id for one in answer.items][:2] == ["jeans", "nothing"]
    assert answer.items[0].source == "pinned"
    assert answer.answered_by == "catalogue"
    alike = ask(catalogue, Scenario.SIMILAR, product_id="shirt")
    assert alike.items[0].product_id == "polo"
    loom = Rules(boosts=(Boost("brand", "Loom", 50.0),))
    assert ask(catalogue, Scenario.SIMILAR, product_id="shirt", rules=loom).items[0].product_id == "seen"


def test_variety_is_kept_over_all_sources(catalogue: CatalogueView) -> None:
    answer = ask(
        catalogue, Scenario.SIMILAR, product_id="shirt", rules=Rules(most_per_category=1, most_per_brand=1)
    )
    assert [one.product_id for one in answer.items] == ["polo", "jeans"]


def test_rotation_changes_places_and_a_seed_repeats_itself() -> None:
    view, index = CatalogueView(), make_index()
    for number in range(60):
        index.put(f"v{number}", 0, StoredSession(number, number, (f"p{number}", "x"), (VIEWED, VIEWED)))
    answers = [
        [
            one.product_id
            for one in recommend(
                index,
                view,
                RecommendationRequest(now_ms=NOW_MS, scenario=Scenario.TRENDING, rules=Rules(rotation=seed)),
            ).items
        ]
        for seed in (1, 1, 2)
    ]
    assert answers[0] == answers[1] != answers[2]
    assert {answer[0] for answer in answers} == {"x"}


def test_carts_and_purchases_together_are_told_apart(catalogue: CatalogueView) -> None:
    index = make_index()
    index.put("ann", 0, StoredSession(0, 1, ("shirt", "jeans", "polo"), (BOUGHT, BOUGHT, VIEWED)))
    request = RecommendationRequest(
        now_ms=NOW_MS, scenario=Scenario.FOR_CART, cart=("shirt",), prefix=(Step("shirt", CARTED, 0),)
    )
    first, *_ = recommend(index, catalogue, request).items
    assert (first.product_id, first.source) == ("jeans", "for_cart")
    assert say_why(first.reason) == "bought together with shirt in 1 visit"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"limit": 0}, "limit.out_of_range"),
        ({"limit": 10_000}, "limit.out_of_range"),
        ({"scenario": Scenario.SIMILAR}, "product_id.missing"),
        ({"rules": Rules(price=PriceRange("EUR", 2, 1))}, "price_min.above_max"),
        (
            {"rules": Rules(categories=frozenset("a"), exclude_categories=frozenset("ab"))},
            "exclude_categories.all",
        ),
        ({"weights": ActionWeights(0, 0, 0)}, "weights.not_positive"),
        ({"rules": Rules(boosts=(Boost("brand", "a", 0.0),))}, "boosts.not_positive"),
        ({"rules": Rules(most_per_brand=0)}, "most_per_brand.out_of_range"),
    ],
)
def test_contradictory_requests_are_refused(asked: dict, code: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        RecommendationRequest(now_ms=0, **asked)
    assert raised.value.code == code


def test_what_the_shop_told_and_what_events_showed_are_joined() -> None:
    view = CatalogueView()
    view.see("a", SeenProduct("Shirts", "Stride", euros(100)))
    view.tell("a", Product(title="Tee", price=euros(200)))
    facts = view.facts_of("a")
    assert (facts.title, facts.brand, facts.categories, facts.price) == (
        "Tee",
        "Stride",
        ("Shirts",),
        euros(200),
    )
    view.tell("a", Product(categories=(), published_ms=5))
    assert (list(view.in_category("Shirts")), list(view.published_before(9))) == ([], [("a", 5)])
    view.remove("a")
    assert (list(view.in_category("Shirts")), list(view.published_before(9))) == (["a"], [])
    assert (len(view), list(view.with_word("tee"))) == (1, [])


@pytest.mark.parametrize("code", WORDS)
def test_every_reason_has_a_sentence(code: str) -> None:
    params: dict[str, str | int | float] = {"product": "p1", "category": "Shirts", "brand": "Stride"}
    params |= {"visits": 1, "days": 2, "times": 1}
    words = say_why(Reason(code, params))
    assert "{" not in words
    assert "1 visits" not in words
