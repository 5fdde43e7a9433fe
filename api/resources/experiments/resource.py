"""What alerts bring: the visitors who are told of against the hold-out group."""

from api.resource import Documentation, Resource
from api.resources.experiments import routes
from api.resources.experiments.examples import ANSWERS
from api.resources.experiments.report import ExperimentsReport

RESOURCE = Resource(
    name="experiments",
    routers=[routes.router],
    services=[lambda services: ExperimentsReport(services.reader)],
    documentation=Documentation(answers=ANSWERS),
)
