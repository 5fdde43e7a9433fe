"""The shop as a whole, right now."""

from api.resource import Documentation, Resource
from api.resources.live import routes
from api.resources.live.backlog import StreamBacklog
from api.resources.live.examples import ANSWERS
from api.resources.live.report import LiveReport

RESOURCE = Resource(
    name="live",
    routers=[routes.router],
    services=[
        lambda services: StreamBacklog(services.reader),
        lambda services: LiveReport(services.reader, services.get(StreamBacklog)),
    ],
    documentation=Documentation(tags={"live": "The shop as a whole, right now."}, answers=ANSWERS),
)
