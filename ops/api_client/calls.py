"""What the commands about alerts ask of the API: to say something of one, a table, the stream."""

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import orjson

from contracts.alerts import ALERT_SCHEMA, Alert, decode_alert
from contracts.settings import Settings
from ops.api_client.authorization import authorization

_TIMEOUT_S = 10.0
_SILENCE_S = 45.0
"""A stream that does not even ping for so long is dead."""
_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError)
_MS = 1_000


_PASSING = (None, 429, 502, 503, 504)


class CallFailed(RuntimeError):
    """The API refused or was not there; the message says what it said. `status` is None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.may_pass = status in _PASSING


@dataclass(frozen=True, slots=True)
class ApiCalls:
    """The API at an address, asked with the key of the settings, if they have one."""

    url: str
    headers: dict[str, str]

    @classmethod
    def of(cls, settings: Settings, url: str | None = None) -> "ApiCalls":
        """The API at this address, by default that of the settings on this machine."""
        return cls((url or f"http://127.0.0.1:{settings.api_port}").rstrip("/"), authorization(settings))

    def say(self, alert_id: str, part: str, body: dict[str, Any] | None, *, undo: bool) -> dict[str, Any]:
        """What is being done about the alert after this; raises `CallFailed`."""
        path = f"/v1/alerts/{quote(alert_id, safe='')}/{part}"
        raw = None if body is None else orjson.dumps(body)
        with self._open("DELETE" if undo else "POST", path, raw) as answer:
            return dict(orjson.loads(answer.read())["handling"])

    def export(self, query: dict[str, str], to: BinaryIO) -> None:
        """Writes the table of the chosen steps; raises `CallFailed`."""
        with self._open("GET", f"/v1/alerts.csv?{urlencode(query)}") as answer:
            try:
                shutil.copyfileobj(answer, to)
            except http.client.HTTPException as exc:
                raise CallFailed(f"{self.url} was interrupted: the table is not complete") from exc

    def follow(self, query: dict[str, str], note: Callable[[str], None]) -> Iterator[dict[str, Any]]:
        """Steps as the stream sends them, for ever; `note` is told of lost ids and of waiting.

        Raises `CallFailed` if the first attempt fails or the API refuses.
        """
        last_id: str | None = None
        while True:
            headers = {"Last-Event-ID": last_id} if last_id is not None else None
            try:
                with self._open("GET", f"/v1/alerts/stream?{urlencode(query)}", None, headers) as answer:
                    for event, event_id, data in _read_events(answer):
                        last_id = event_id or last_id
                        if event == "alert":
                            yield orjson.loads(data)
                        elif event == "reset":
                            note("some steps are no longer stored: continuing with the oldest stored")
            except CallFailed as exc:
                if last_id is None or not exc.may_pass:
                    raise
                note(f"{exc}; retrying")
            except _ERRORS:
                note("the stream was interrupted; continuing after the last step")
            time.sleep(2.0)

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> Any:
        """The JSON of the answer, None where it has no body; raises `CallFailed`."""
        raw = None if body is None else orjson.dumps(body)
        with self._open(method, path, raw, timeout_s=timeout_s) as answer:
            text = answer.read()
        return orjson.loads(text) if text else None

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> http.client.HTTPResponse:
        all_headers = {**self.headers, **(headers or {}), "Content-Type": "application/json"}
        timeout_s = _SILENCE_S if path.startswith("/v1/alerts/stream") else timeout_s
        try:
            request = urllib.request.Request(self.url + path, body, all_headers, method=method)  # noqa: S310
            answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)  # noqa: S310
        except urllib.error.HTTPError as exc:
            raise CallFailed(_explain(exc), exc.code) from exc
        except (ValueError, *_ERRORS) as exc:
            raise CallFailed(f"{self.url} does not answer: {exc}") from exc
        return answer


def to_contract(fields: dict[str, Any]) -> Alert:
    """The step in what the API shows of it; raises `InvalidAlert` or `KeyError` for something else."""
    times = {"at_ms": _to_ms(fields["at"]), "fired_ms": _to_ms(fields["fired_at"])}
    if "subject" in fields:
        return decode_alert(orjson.dumps({**fields, **times, "schema": ALERT_SCHEMA}))
    value = fields["cart_value"] or {}
    plain = {
        **fields,
        "schema": ALERT_SCHEMA,
        "session_start_ms": _to_ms(fields["session_started_at"]),
        **times,
        "cart_value_minor": value.get("amount_minor"),
        "currency": value.get("currency"),
        "purchase": fields["purchase_probability"],
    }
    return decode_alert(orjson.dumps(plain))


def write_table(calls: ApiCalls, query: dict[str, str], path: Path) -> None:
    """The table in a file, all of it or not at all; raises `CallFailed`."""
    scratch = path.with_name(f"{path.name}.part")
    try:
        with scratch.open("wb") as to:
            calls.export(query, to)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _to_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * _MS)


def _read_events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str | None, str]]:
    fields: dict[str, str] = {}
    for raw in answer:
        line = raw.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields.get("event", "message"), fields.get("id"), fields.get("data", "")
            fields = {}


_KEY_ADVICE = "for commands, set STOREPULSE_API_KEY to a key from `storepulse keys create`"


def _explain(exc: urllib.error.HTTPError) -> str:
    with closing(exc):
        try:
            problem = orjson.loads(exc.read())
            said = f"{problem['code']}: {problem['detail']}"
            return f"{said}; {_KEY_ADVICE}" if problem["code"] == "key.missing" else said
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return f"the API answered {exc.code}"
