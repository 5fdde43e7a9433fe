"""What answers the errors of handling alerts become."""

from http import HTTPStatus

from api.http.errors import ErrorAnswer
from readers.alerts.handling import EndedAlert, UnknownAlert

ERROR_ANSWERS = {
    UnknownAlert: ErrorAnswer(HTTPStatus.NOT_FOUND, "alert.unknown"),
    EndedAlert: ErrorAnswer(HTTPStatus.CONFLICT, "alert.ended"),
}
