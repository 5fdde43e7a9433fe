"""Which models are at work, and how good they are."""

from collections.abc import Mapping

from redis.exceptions import RedisError

from api.http.parts import Part
from api.resource import Documentation, Resource
from api.resources.models import routes
from api.resources.models.examples import ANSWERS
from api.resources.models.report import ModelsReport, judge_scoring
from api.resources.predictions.next_action_model import NextActionModel
from api.services import Services
from contracts.clock import wall_clock_ms


def _make_report(services: Services) -> ModelsReport:
    return ModelsReport(services.reader, services.get(NextActionModel))


async def _check_model(services: Services) -> Mapping[str, Part]:
    model = services.get(NextActionModel)
    await model.find()
    try:
        workers = await services.reader.heartbeats(now_ms=wall_clock_ms())
    except RedisError:
        return {"model": Part(status="degraded", detail="unknown while Redis does not answer")}
    return {"model": judge_scoring(workers, model.trouble)}


RESOURCE = Resource(
    name="models",
    routers=[routes.router],
    services=[_make_report],
    checks=[_check_model],
    documentation=Documentation(answers=ANSWERS),
)
