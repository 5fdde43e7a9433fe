"""Deletion of visitors."""

from api.openapi.links import Link
from api.resource import Documentation, Resource
from api.resources.privacy import routes
from api.resources.privacy.recorder import scrub_request
from api.resources.privacy.remover import Remover
from api.services import Services


def _make_remover(services: Services) -> Remover:
    scrubbers = [scrubber for resource in services.resources for scrubber in resource.scrubbers]
    return Remover(services.reader, scrubbers)


RESOURCE = Resource(
    name="privacy",
    seldom_routers=[routes.router],
    services=[_make_remover],
    scrubbers=[scrub_request],
    documentation=Documentation(
        tags={"privacy": "Deletion of visitors."},
        parameters={"deletion_id": "del_5d1f0c9e7a3b4c21"},
        links=[Link("delete_visitor", "202", "get_deletion", {"deletion_id": "$response.body#/deletion_id"})],
    ),
)
