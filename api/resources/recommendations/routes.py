"""`/v1/recommendations`: what to show a visitor now."""

from typing import Any

from fastapi import Request, Response

from api.http.bodies import parse_body, read_plain_body
from api.http.dependencies import NoQuery
from api.http.direct_routes import direct_router
from api.http.queries import describe_query, read_query, to_json_response
from api.identity.guard import require
from api.identity.principal import Scope
from api.openapi.problem_document import describe_problems
from api.resources.recommendations import schemas
from api.resources.recommendations.batches import REQUEST_BODY, read_batch
from api.resources.recommendations.questions import RecommendationParameters
from api.resources.recommendations.recommender import Recommender
from api.services import services_of

_guard = require(Scope.RECOMMENDATIONS_READ)
_DOCUMENT: dict[str, Any] = _guard.describe()
_AWAY = {503: "A required service does not answer, or the first sessions are still being read; retry"}
router = direct_router("/v1/recommendations", "recommendations")


@router.get(
    "",
    response_model=schemas.Recommendations,
    responses=describe_problems(_AWAY),
    openapi_extra={"parameters": describe_query(RecommendationParameters), **_DOCUMENT},
)
async def get_recommendations(request: Request) -> Response:
    """What to show a visitor now, from their actions up to this moment, with the reason for each product.

    An unknown visitor or product is no error: the answer then says which fallback it comes from. It is empty
    only if no product is known, or the rules allow none.
    """
    principal = await _guard(request)
    services = services_of(request.app)
    question = read_query(request, RecommendationParameters).to_question(services.settings.currency)
    recommender = services.get(Recommender)
    (answer,) = await recommender.answer([question], only_devices=principal.is_publishable)
    return to_json_response(answer)


@router.post(
    "",
    response_model=schemas.RecommendationAnswers,
    responses=describe_problems(
        _AWAY
        | {
            400: "The body is not JSON, or an object in it has the same field twice",
            415: "Unsupported content type, or a compressed body",
        }
    ),
    openapi_extra={"requestBody": REQUEST_BODY, **_DOCUMENT},
)
async def post_recommendations(request: Request) -> Response:
    """Answers up to 20 questions at once, in their order; all of them are valid, or none is answered."""
    principal = await _guard(request)
    read_query(request, NoQuery)
    services = services_of(request.app)
    questions = read_batch(parse_body(await read_plain_body(request)), services.settings.currency)
    answers = await services.get(Recommender).answer(questions, only_devices=principal.is_publishable)
    return to_json_response({"answers": answers})
