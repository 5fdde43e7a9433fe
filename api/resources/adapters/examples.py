"""Examples of answers: receipts for the senders of other systems."""

from typing import Any

from api.openapi.examples import REQUEST_ID

_SEGMENT_CALLS = [
    f"post_{call}" for call in ("track", "batch", "identify", "page", "screen", "group", "alias")
]
_SEGMENT_RECEIPT = {
    "success": True,
    "request_id": REQUEST_ID,
    "accepted": 1,
    "duplicates": 0,
    "rejected": 0,
    "dropped": 0,
    "dedupe": "event_id",
    "redacted": 0,
    "clock_offset_ms": 0,
    "dry_run": False,
    "errors": [],
    "ignored": 0,
}

ANSWERS: dict[str, Any] = {
    "validate_ga4_events": {"validationMessages": []},
    **dict.fromkeys(_SEGMENT_CALLS, _SEGMENT_RECEIPT),
}
