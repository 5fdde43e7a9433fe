"""What a request presents to be recognised by."""

import base64
import binascii
from collections.abc import Iterable
from http import HTTPStatus

from api.http.errors import Problem

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="storepulse"'}
"""Not Basic, which we take as well: a browser would ask its user for a name and a password."""


def unauthorized(code: str, detail: str) -> Problem:
    """The answer to somebody we do not know."""
    return Problem(HTTPStatus.UNAUTHORIZED, code, detail, headers=_CHALLENGE)


def read_authorization(values: Iterable[str]) -> str | None:
    """The one key in `Authorization` headers; None without any. Raises `Problem` 401.

    `Bearer <key>`, or `Basic` with the key as user name, whatever the password: so senders of Segment's do.
    An empty key is none.
    """
    found: set[str] = set()
    for value in values:
        scheme, _, text = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.add(text.strip())
        elif scheme.lower() == "basic":
            found.add(_user_name(text.strip()))
        else:
            raise unauthorized("key.scheme", "Authorization must be Bearer or Basic")
    found.discard("")
    if len(found) > 1:
        raise several()
    return found.pop() if found else None


def several() -> Problem:
    """The answer to a request that leaves open whose it is."""
    return unauthorized("key.several", "a request must have one key; this one has different keys")


def _user_name(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise unauthorized(
            "key.scheme", "Basic must be followed by the base64 encoding of the key and a colon"
        ) from None
