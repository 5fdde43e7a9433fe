"""Times in parameters."""

import re
from datetime import datetime, timedelta

from api.http.errors import InvalidQuery
from contracts.fields import EARLIEST_MS
from readers.intervals import to_datetime

LATEST_MS = 4_102_444_800_000
"""2100-01-01; an integer above it is usually epoch microseconds."""

_EPOCH_MS = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def parse_time(field: str, text: str) -> int:
    """Epoch ms of epoch ms or RFC 3339 text; raises `InvalidQuery` naming `field`."""
    at_ms = int(text) if _EPOCH_MS.fullmatch(text) else _parse_rfc3339(field, text)
    if not EARLIEST_MS <= at_ms < LATEST_MS:
        raise InvalidQuery(
            field, "out_of_range", "must lie between 2000 and 2100; integers are epoch milliseconds"
        )
    return at_ms


def _parse_rfc3339(field: str, text: str) -> int:
    if "T" in text:
        text = text.replace(" ", "+")  # a plus sign that was not percent-encoded arrives as a space
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidQuery(field, "not_time", "must be RFC 3339 or epoch milliseconds") from None
    if moment.tzinfo is None:
        raise InvalidQuery(field, "naive", "must have a UTC offset, such as Z or +02:00")
    try:
        return (moment - to_datetime(0)) // timedelta(milliseconds=1)
    except OverflowError:
        raise InvalidQuery(field, "out_of_range", "must lie between 2000 and 2100") from None
