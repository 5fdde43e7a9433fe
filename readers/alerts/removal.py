"""Removing a deleted visitor's traces from the log of alerts and what was said of them."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from contracts.alerts import Alert, kind_names
from contracts.subjects import PERSONAL, Subject
from readers.alerts.handling import mute_member
from readers.alerts.log import decode_entry
from readers.id_search import Needle
from readers.reader import Reader
from readers.removal import Trace

_PAGE = 1_000


async def scrub_alerts(reader: Reader, trace: Trace) -> dict[str, int]:
    """Steps in the log of alerts, and what people said of these alerts."""
    keys, needle = reader.keys, Needle(trace.user_id)
    steps = notes = 0
    async for entry_id, fields in _entries(reader):
        alert = decode_entry(entry_id, fields)
        if not _is_theirs(alert, fields, trace, needle):
            continue
        pipe = reader.redis.pipeline(transaction=True)
        pipe.xdel(keys.alerts(), entry_id)
        pipe.hdel(keys.alert_places(), fields.get(b"id", b""))
        if alert is not None:
            pipe.delete(keys.alert_handling(alert.alert_id))
        gone, _, *unsaid = await pipe.execute()
        steps += gone
        notes += sum(unsaid)
    return {"alert_steps": steps, "alert_notes": notes}


async def scrub_mutes(reader: Reader, trace: Trace) -> dict[str, int]:
    """Snoozes of the visitor's alerts."""
    people = [Subject(kind, trace.user_id) for kind in sorted(PERSONAL)]
    members = [mute_member(kind, subject) for kind in kind_names() for subject in people]
    return {"snoozes": int(await reader.redis.zrem(reader.keys.alert_mutes(), *members))}


def _is_theirs(alert: Alert | None, fields: Mapping[bytes, bytes], trace: Trace, needle: Needle) -> bool:
    """Whether to remove this step: it is about the visitor, as one or as a customer.

    One that we do not understand must not even name the visitor.
    """
    if alert is None:
        return any(map(needle.is_in, fields.values()))
    is_new = trace.returned and alert.at_ms > trace.cut_ms
    named = (alert.subject.id, alert.customer_id)
    return alert.subject.is_personal and trace.user_id in named and not is_new


async def _entries(reader: Reader) -> AsyncIterator[tuple[bytes, dict[bytes, bytes]]]:
    """Id and fields of every entry in the log of alerts."""
    start = "-"
    while True:
        page: Any = await reader.redis.xrange(reader.keys.alerts(), min=start, count=_PAGE)
        for entry in page:
            yield entry
        if len(page) < _PAGE:
            return
        start = f"({page[-1][0].decode()}"
