"""What to show a visitor now."""

from collections.abc import Mapping

from api.http.parts import Part
from api.resource import Documentation, Resource
from api.resources.recommendations import routes
from api.resources.recommendations.batches import SCHEMAS
from api.resources.recommendations.examples import ANSWERS
from api.resources.recommendations.exposures import ExposurePublisher
from api.resources.recommendations.recommender import Recommender
from api.services import Services
from models.next_item.source import NEXT_ITEM, next_item_source
from models.recommendation.catalogue import CatalogueView
from models.recommendation.index import make_index
from readers.model_lifecycle import ModelLifecycle
from readers.recommendations.feed import RecommendationFeed
from readers.recommendations.live import LiveRecommendations
from readers.recommendations.ranking import Ranking


def _make_publisher(services: Services) -> ExposurePublisher:
    return ExposurePublisher(services.settings, services.metrics)


def _make_recommender(services: Services) -> Recommender:
    feed = RecommendationFeed(make_index(compiled=services.settings.compiled), CatalogueView())
    lifecycle = services.get(ModelLifecycle)
    champion = lifecycle.champion(NEXT_ITEM, next_item_source(services.settings.next_item_dir))
    ranking = Ranking(champion, lifecycle.wait)
    live = LiveRecommendations(services.reader, feed, ranking)
    return Recommender(services.reader, live, services.get(ExposurePublisher))


async def _check(services: Services) -> Mapping[str, Part]:
    return {"recommendations": services.get(Recommender).check()}


RESOURCE = Resource(
    name="recommendations",
    direct_routers=[routes.router],
    services=[_make_publisher, _make_recommender],
    checks=[_check],
    browser_paths=frozenset(("/v1/recommendations",)),
    documentation=Documentation(
        tags={"recommendations": "What to show a visitor now, and why."},
        answers=ANSWERS,
        schemas=SCHEMAS,
        parameters={
            "scenario": "for_you",
            "region": "DE",
            "price_max": "49.90",
            "exclude": "p00054,p00071",
            "pin": "p00427",
        },
    ),
)
