"""Every path that some library of Segment's uses, with a slash at the end and without."""

import httpx
import pytest
from fastapi import FastAPI

from api.identity.principal import Scope
from api.services import services_of
from api_keys import look_again, make_secret_key
from contracts.settings import Settings

NOTHING = {"accepted": 0, "duplicates": 0, "rejected": 0, "dropped": 0}


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", ["identify", "i", "page", "p", "screen", "s", "group", "g", "alias", "a"])
async def test_calls_without_a_counterpart_are_accepted_and_ignored(
    client: httpx.AsyncClient, path: str, end: str
) -> None:
    answer = await client.post(f"/v1/{path}{end}", json={"userId": "u", "traits": {"email": "x@example.com"}})
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in NOTHING} == NOTHING
    assert (answer.json()["success"], answer.json()["ignored"]) == (True, 1)


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", ["track", "t", "batch", "b", "import"])
async def test_every_path_of_a_library_takes_its_calls(
    client: httpx.AsyncClient, path: str, end: str
) -> None:
    call = {"type": "track", "event": "Signed Up", "userId": "u"}
    body = call if path.startswith("t") else {"batch": [call]}
    answer = await client.post(f"/v1/{path}{end}", json=body)
    assert (answer.status_code, answer.json()["success"], answer.json()["ignored"]) == (200, True, 1)


@pytest.mark.parametrize("end", ["", "/", "?version=2"])
async def test_libraries_for_apps_are_told_to_send_here(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings, end: str
) -> None:
    secret = await make_secret_key(services_of(app).reader.redis, settings, Scope.EVENTS_WRITE)
    look_again(app)
    answer = await client.get(f"/v1/projects/ak_live_x/settings{end}", headers={"host": "shop.example:8443"})
    assert answer.status_code == 200
    assert answer.json()["integrations"] == {
        "Segment.io": {"apiKey": "ak_live_x", "apiHost": "shop.example:8443/v1"}
    }
    assert answer.headers["cache-control"] == "no-store"
    exposed = await client.get(f"/v1/projects/{secret}/settings{end}")
    assert (exposed.status_code, exposed.json()["code"]) == (401, "key.in_url")
    assert secret.secret not in exposed.text


async def test_what_libraries_tell_of_themselves_needs_no_key(
    app: FastAPI, client: httpx.AsyncClient, settings: Settings
) -> None:
    await make_secret_key(services_of(app).reader.redis, settings, Scope.EVENTS_WRITE)
    look_again(app)
    series = {"series": [{"type": "Counter", "metric": "analytics_js.invoke", "value": 1, "tags": {}}]}
    for path in ("/v1/m", "/v1/m/"):
        answer = await client.post(path, json=series)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
