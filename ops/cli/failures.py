"""What a command that cannot do its work prints in place of a traceback: one line, and an exit code."""

import sys

from kafka.errors import KafkaError
from pydantic import ValidationError
from redis.exceptions import RedisError

from connections.kafka_troubles import kafka_trouble
from connections.redis_troubles import redis_trouble
from connections.tls import CertificateError
from connections.troubles import EXIT_REFUSED, ConnectionRefused
from contracts.connection_settings import ENV_PREFIX, SecretFileError

FAILED = 1


def explain(exc: Exception) -> int | None:
    """Print what is wrong on stderr; the exit code, None for what is our own mistake."""
    if isinstance(exc, ConnectionRefused | CertificateError | SecretFileError):
        return _say(str(exc), EXIT_REFUSED)
    if isinstance(exc, ValidationError):
        if "Settings" not in exc.title:
            return None
        for error in exc.errors(include_url=False, include_input=False):
            name = ".".join(map(str, error["loc"]))
            variable = f"{ENV_PREFIX}{name.upper()}: " if name else ""
            _say(f"{variable}{error['msg'].removeprefix('Value error, ')}", EXIT_REFUSED)
        return EXIT_REFUSED
    if isinstance(exc, KafkaError):
        trouble = kafka_trouble(exc)
    elif isinstance(exc, RedisError):
        trouble = redis_trouble(exc)
    else:
        return None
    return _say(str(trouble), EXIT_REFUSED if trouble.is_refusal else FAILED)


def _say(text: str, code: int) -> int:
    sys.stderr.write(f"{text}\n")
    return code
