"""Checks of single fields: identifiers, texts and times, each with the code of the rule it enforces."""

import re
from datetime import UTC, datetime

from contracts.currencies import MINOR_DIGITS

MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 256
MAX_AHEAD_MS = 5 * 60_000
"""An event may be this far ahead of the clock of whoever received it; more is refused."""
EARLIEST_MS = 946_684_800_000
"""2000-01-01; an integer below it is usually epoch seconds sent as milliseconds."""


class InvalidEvent(ValueError):  # names the state of the event, as the dead-letter codes do
    """Bytes that are not an event of the contract; `code` is `field.rule` and stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-?[0-9]{2}-?[0-9]{2})[Tt ](?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})"
    r"(:?(?P<second>[0-9]{2})([.,](?P<part>[0-9]{1,9}))?)?"
    r" ?(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
"""RFC 3339, and what libraries write for it: ISO 8601's basic form, offsets without a colon or minutes, a
comma before the fraction, no seconds."""


def identifier(field: str, value: object) -> str:
    """An id: a string of 1 to `MAX_ID_CHARS` characters, or an integer; raises `InvalidEvent`."""
    if type(value) is int:  # shops number products and customers; a boolean has another type
        value = str(value)
    if type(value) is not str:
        rule = "missing" if value is None else "not_string"
        raise InvalidEvent(f"{field}.{rule}", f"{field} must be a string, got {kind_of(value)}")
    if not value or value.isspace():
        raise InvalidEvent(f"{field}.blank", f"{field} must not be blank")
    if len(value) > MAX_ID_CHARS:
        raise InvalidEvent(
            f"{field}.too_long", f"{field} must have at most {MAX_ID_CHARS} characters, got {len(value)}"
        )
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidEvent(f"{field}.control_characters", f"{field} must not contain control characters")
    return value


def order_identifier(value: object) -> str:
    """The id of an order, without the blanks around it that templates leave; raises `InvalidEvent`."""
    return identifier("order_id", value).strip()


def text(field: str, value: object) -> str | None:
    """A text of at most `MAX_TEXT_CHARS` characters; `None` if it is empty. Raises `InvalidEvent`."""
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        raise InvalidEvent(f"{field}.not_string", f"{field} must be a string, got {kind_of(value)}")
    if len(value) > MAX_TEXT_CHARS:
        raise InvalidEvent(
            f"{field}.too_long", f"{field} must have at most {MAX_TEXT_CHARS} characters, got {len(value)}"
        )
    if not value.isprintable() and _CONTROL.search(value):
        raise InvalidEvent(f"{field}.control_characters", f"{field} must not contain control characters")
    return value or None


def parse_currency(value: object) -> str:
    """An ISO 4217 code, in upper case whatever it came in; raises `InvalidEvent`."""
    code = value.strip().upper() if type(value) is str and value.isascii() else ""
    if code not in MINOR_DIGITS:
        raise InvalidEvent("currency.unknown", f"currency must be an ISO 4217 code, got {kind_of(value)}")
    return code


def parse_time(value: object) -> int:
    """Epoch milliseconds of an RFC 3339 or ISO 8601 time with an offset; raises `InvalidEvent`."""
    if value is None:
        raise InvalidEvent("event_time.missing", "event_time is required")
    if type(value) is not str:
        raise InvalidEvent(
            "event_time.not_time", f"event_time must be epoch milliseconds or RFC 3339, got {kind_of(value)}"
        )
    try:
        found = _TIME.fullmatch(value)
        if found is None:  # fromisoformat also takes week dates and any separator
            raise ValueError(value)
        moment = datetime.fromisoformat(_plain_time(found))
    except ValueError:
        raise InvalidEvent(
            "event_time.not_time", "event_time must be epoch milliseconds or RFC 3339"
        ) from None
    if moment.tzinfo is None:
        raise InvalidEvent("event_time.naive", "event_time must have a UTC offset, such as Z or +02:00")
    try:
        since_epoch = moment - _EPOCH
    except OverflowError:
        raise InvalidEvent("event_time.too_early", "event_time is before 2000") from None
    return since_epoch.days * 86_400_000 + since_epoch.seconds * 1_000 + since_epoch.microseconds // 1_000


def _plain_time(found: re.Match[str]) -> str:
    """The time as RFC 3339 has it."""
    date, hour, minute, second, part, zone = found.group("date", "hour", "minute", "second", "part", "zone")
    if zone in ("UTC", "GMT"):
        zone = "Z"
    return f"{date}T{hour}:{minute}:{second or '00'}.{part or '0'}{(zone or '').upper()}"


def time_out_of_range(time_ms: int, received_ms: int) -> InvalidEvent:
    """The refusal of a time before 2000 or too far ahead of when it was received."""
    if time_ms < EARLIEST_MS:
        return InvalidEvent(
            "event_time.too_early",
            "event_time is before 2000; an integer must be epoch milliseconds, not seconds",
        )
    ahead_s = (time_ms - received_ms) // 1_000
    return InvalidEvent("event_time.in_future", f"event_time is {ahead_s} s after it was received")


def kind_of(value: object) -> str:
    """The JSON kind of a value: enough to find the mistake, and no visitor's words in logs and answers."""
    names = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}
    return "null" if value is None else names.get(type(value), type(value).__name__)
