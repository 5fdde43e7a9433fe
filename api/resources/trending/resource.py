"""Products of most recent interest."""

from api.openapi.links import Link
from api.resource import Documentation, Resource
from api.resources.trending import routes
from api.resources.trending.examples import ANSWERS
from api.resources.trending.ranking import TrendingReport

RESOURCE = Resource(
    name="trending",
    routers=[routes.router],
    services=[lambda services: TrendingReport(services.reader)],
    documentation=Documentation(
        answers=ANSWERS,
        links=[
            Link("get_trending", "200", "get_demand", {"product_id": "$response.body#/products/0/product_id"})
        ],
    ),
)
