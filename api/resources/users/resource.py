"""State of single visitors, and what is expected of them."""

from http import HTTPStatus

from api.http.errors import ErrorAnswer
from api.openapi.identifiers import TEXT_ID
from api.resource import Documentation, Resource
from api.resources.users import routes
from api.resources.users.examples import ANSWERS
from contracts.blob_formats import LaterFormat
from readers.visitors import SpoiledVisitor

RESOURCE = Resource(
    name="users",
    direct_routers=[routes.router],
    errors={
        LaterFormat: ErrorAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "state.later_version"),
        SpoiledVisitor: ErrorAnswer(HTTPStatus.NOT_FOUND, "user.unknown"),
    },
    documentation=Documentation(
        tags={"visitors": "State of individual visitors, and predictions of what they do next."},
        answers=ANSWERS,
        parameters={"user_id": "visitor-17"},
        path_schemas={"user_id": TEXT_ID},
    ),
)
