"""What the body of another system comes to."""

from typing import Any, NamedTuple

from api.resources.events.clock_skew import clock_offset_ms
from contracts.fields import EARLIEST_MS, InvalidEvent

ORDER_TYPES = ("purchase", "refund")
"""Our types of events that are about an order."""


class Translation(NamedTuple):
    """Native events of one body, in the order they came.

    `events` holds the fields of events for `verdicts.validate`, which refuses what breaks the contract, so an
    element that is no JSON object is passed on as it came. `places` has the place of each in the sender's
    batch. `ignored` counts what has no counterpart here. `sent_at` is the sender's clock, None if it told no
    valid time. `source` is the system, and its library as far as it says.
    """

    events: list[Any]
    places: list[int]
    ignored: int
    sent_at: Any = None
    source: str = ""


def list_of(value: object) -> Any:
    """The elements of an array, whatever it was made of: nothing, one object, or objects by their place."""
    if value is None or value == "":
        return []
    if type(value) is dict:
        return list(value.values()) if all(name.isdecimal() for name in value) else [value]
    return value


def object_of(value: object) -> dict[str, Any]:
    """The JSON object, or an empty one if there is none."""
    return value if type(value) is dict else {}


def valid_time(sent_at: object) -> object:
    """The time as it came, None if it is none: one wrong clock must not cost a whole batch."""
    try:
        clock_offset_ms(sent_at, EARLIEST_MS)
    except InvalidEvent:
        return None
    return sent_at


def who(anonymous_id: Any, user_id: Any, *, is_told: bool) -> dict[str, Any]:
    """The ids of an event of another system: of the device, and of who is logged in on it.

    Where there is a device, no user id that `is_told` says that nobody is logged in.
    """
    if anonymous_id is None or anonymous_id == "":
        return present({"user_id": user_id})
    ids = {"anonymous_id": anonymous_id}
    if user_id is not None and user_id != "":
        ids["user_id"] = user_id
    elif is_told:
        ids["user_id"] = None
    return ids


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something: senders write null and the empty string for what they do not know."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}
