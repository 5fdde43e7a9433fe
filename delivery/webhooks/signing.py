"""Signatures by Standard Webhooks 1.0.0: symmetric, one secret per endpoint, two while one is replaced."""

import base64
import binascii
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with, no secret
_SECRET_BYTES = 32
_SHORTEST_BYTES, _LONGEST_BYTES = 24, 64


class InvalidSignature(ValueError):
    """What came was not signed with this secret just now; the message says what is wrong with it."""


def make_secret() -> str:
    """A secret in the form of the specification."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def sign(message_id: str, at_s: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The three headers of one attempt at `at_s` (epoch seconds), with a signature by each secret.

    The body is what is sent, byte for byte, in UTF-8.
    """
    # The library takes any time for UTC and would sign a wrong one, so it is given nothing else.
    moment = datetime.fromtimestamp(at_s, UTC)
    signatures = [Webhook(key).sign(message_id, moment, body.decode()) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(signatures),
    }


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> object:
    """The JSON of a message signed with `secret` within five minutes of now; raises `InvalidSignature`.

    For receivers. What the library raises besides its own error, on malformed headers and bodies, must not
    become an answer of 500.
    """
    try:
        Webhook(secret).verify(body, dict(headers), json_parse=False)
        return json.loads(body)
    except WebhookVerificationError as exc:
        raise InvalidSignature(str(exc)) from exc
    except (binascii.Error, UnicodeDecodeError, ValueError) as exc:
        raise InvalidSignature("malformed headers, signature or body") from exc


def check_secret(text: str) -> str:
    """The secret, if it is one by the specification; raises `ValueError` without repeating it."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
        Webhook(text)
    except (binascii.Error, ValueError, EmptyWebhookSecretError):
        raise ValueError(f"a secret must be {SECRET_PREFIX} followed by base64") from None
    if not _SHORTEST_BYTES <= len(key) <= _LONGEST_BYTES:
        raise ValueError(f"a secret has {_SHORTEST_BYTES} to {_LONGEST_BYTES} bytes, got {len(key)}")
    return text
