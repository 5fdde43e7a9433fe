"""What Segment's libraries for apps ask for when they start: where to send. Without it they go to Segment."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from api.http.dependencies import forbid_store
from api.identity.credentials import unauthorized
from api.identity.key_text import KeyKind, parse_key

router = APIRouter(include_in_schema=False, dependencies=[Depends(forbid_store)])

SETTINGS_PATH = "/v1/projects/{write_key}/settings"
_ALL: dict[str, Any] = {"__default": {"enabled": True, "integrations": {}}}


@router.get(f"{SETTINGS_PATH}/")
@router.get(SETTINGS_PATH)
async def get_settings_of_library(
    request: Request, write_key: Annotated[str, Path(max_length=128)]
) -> dict[str, Any]:
    """The same for every key, known or not: that events come here, by the name under which we were asked.

    The libraries have the key in the path, so it must be of a kind that may be there; raises `Problem` 401.
    """
    key = parse_key(write_key)
    if key is not None and key.kind is KeyKind.SECRET:
        raise unauthorized(
            "key.in_url", "keys in URLs end up in logs: replace this key with one for apps or pages"
        )
    host = f"{request.headers.get('host', '')}/v1"
    return {
        "integrations": {"Segment.io": {"apiKey": write_key, "apiHost": host}},
        "plan": {"track": _ALL, "identify": _ALL, "group": _ALL},
        "metrics": {"sampleRate": 0},
        "edgeFunction": {},
        "middlewareSettings": {},
        "consentSettings": {},
    }
