"""Keeping the events of deleted visitors out."""

from collections.abc import Iterable, Mapping

from contracts.deletions import digest_user
from contracts.events import Event
from stream.batch.entries import Entry


def keep_out(
    grouped: dict[str, list[Event]], entries: Iterable[Entry], forgotten: Mapping[str, int], secret: str
) -> int:
    """Take the events of deleted visitors from before their deletion out of `grouped`; how many they were.

    One that happened or arrived before it is one of them: what is sent again does not bring anybody back.
    """
    number = 0
    for user_id in list(grouped):
        cut_ms = forgotten.get(digest_user(user_id, secret))
        if cut_ms is None:
            continue
        arrived_ms = {id(entry.event): entry.broker_ms for entry in entries}
        events = grouped.pop(user_id)
        newer = [event for event in events if min(event.event_time_ms, arrived_ms[id(event)]) > cut_ms]
        number += len(events) - len(newer)
        if newer:
            grouped[user_id] = newer
    return number
