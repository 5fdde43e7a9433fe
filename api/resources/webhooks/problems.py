"""What answers the errors of webhooks become."""

from http import HTTPStatus

from api.http.errors import ErrorAnswer
from delivery.webhooks.errors import (
    ChangedMeanwhile,
    QueueFull,
    TooManyEndpoints,
    UnknownDelivery,
    UnknownEndpoint,
    UnreadableEndpoint,
)

ERROR_ANSWERS = {
    UnknownEndpoint: ErrorAnswer(HTTPStatus.NOT_FOUND, "webhook.unknown"),
    UnreadableEndpoint: ErrorAnswer(HTTPStatus.SERVICE_UNAVAILABLE, "state.spoiled"),
    UnknownDelivery: ErrorAnswer(HTTPStatus.NOT_FOUND, "delivery.unknown"),
    TooManyEndpoints: ErrorAnswer(HTTPStatus.CONFLICT, "webhook.too_many"),
    ChangedMeanwhile: ErrorAnswer(HTTPStatus.CONFLICT, "webhook.changed"),
    QueueFull: ErrorAnswer(HTTPStatus.TOO_MANY_REQUESTS, "webhook.queue_full", {"Retry-After": "60"}),
}
