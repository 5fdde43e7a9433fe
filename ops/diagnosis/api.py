"""The doctor's look at the API of this machine: what it says of the parts that it needs."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import orjson

from contracts.settings import Settings
from ops.api_client.authorization import authorization
from ops.diagnosis.checks import Check, Level

TIMEOUT_S = 5.0
_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)
_ADVICE = {
    "model": "STOREPULSE_MODEL_DIR must name a folder with model.onnx and card.json; without it, workers and "
    "API use the model that comes with Storepulse",
    "stream": "check the workers' logs, or start a worker: `storepulse worker`",
    "load": "start more processes: `storepulse api --processes`",
}
_OTHERWISE = "see the checks of this service and the API's log"


def check_api(settings: Settings, *, required: bool) -> Iterator[Check]:
    """Checks of the API and of each part that is not well; none where it is away and not `required`."""
    url = f"http://127.0.0.1:{settings.api_port}/readyz"
    try:
        answer = _ask(url, authorization(settings))
        status, parts = str(answer["status"]), dict(answer["parts"])
    except (*_ERRORS, KeyError, TypeError) as exc:
        if required:
            yield Check("api", Level.FAIL, f"no API answers at {url}: {exc}", "look into its log")
        return
    yield from judge_api(status, parts)


def judge_api(status: str, parts: dict[str, Any]) -> Iterator[Check]:
    """What `/readyz` says; `parts` are empty for whoever has no key to see them."""
    if status == "ok" or parts:
        yield Check("api", Level.OK, f"answers, {status}")
    else:
        advice = "set STOREPULSE_API_KEY to a key with the scope operations:read to see why"
        yield Check("api", Level.WARN, f"answers, {status}", advice)
    for name, part in parts.items():
        if part["status"] != "ok":
            level = Level.FAIL if part["status"] == "down" else Level.WARN
            yield Check(f"api: {name}", level, part["detail"], _ADVICE.get(name, _OTHERWISE))


def _ask(url: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - our own http URL
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the same
            return orjson.loads(answer.read())
    except urllib.error.HTTPError as exc:
        with exc:
            if exc.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return orjson.loads(exc.read())
