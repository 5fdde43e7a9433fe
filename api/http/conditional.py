"""Answers that a client need not get twice: an ETag of the content, and 304 to who has it."""

import hashlib

from fastapi import Request, Response


def answer_if_changed(request: Request, body: bytes, media_type: str) -> Response:
    """200 with the body, or 304 if the client named its ETag; caches ask again each time."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    named = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if named & {etag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)
