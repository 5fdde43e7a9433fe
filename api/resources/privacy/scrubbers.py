"""What removes a visitor's traces outside the state of their partition. New places of that kind belong here.

Each removes what it finds, may be run again, and says how much it removed, by kind.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from api.resources.privacy.search import Needle
from contracts.alerts import Alert, kind_names
from delivery.webhooks.delivery_log import DeliveryLog
from readers.alerts.log import decode_entry
from readers.reader import Reader

_PAGE = 1_000


class Trace(NamedTuple):
    """Whose traces: `cut_ms` is up to when they are removed if the visitor has `returned` since."""

    user_id: str
    digest: str
    partition: int
    cut_ms: int
    returned: bool


Scrubber = Callable[[Reader, Trace], Awaitable[dict[str, int]]]


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
    members = [f"{kind}:{trace.user_id}" for kind in kind_names()]
    return {"snoozes": int(await reader.redis.zrem(reader.keys.alert_mutes(), *members))}


async def scrub_webhooks(reader: Reader, trace: Trace) -> dict[str, int]:
    """Webhook deliveries that speak of the visitor, waiting or logged."""
    endpoints: Any = await reader.redis.hkeys(reader.keys.webhook_endpoints())
    found = [await DeliveryLog(reader, one.decode()).forget(trace.user_id) for one in endpoints]
    return {"webhook_deliveries": sum(found)}


async def scrub_request(reader: Reader, trace: Trace) -> dict[str, int]:
    """The id that was left beside the state for the worker, which takes it away if all goes well."""
    await reader.redis.hdel(reader.keys.forgetting(trace.partition), trace.digest)
    return {}


SCRUBBERS: tuple[Scrubber, ...] = (scrub_alerts, scrub_mutes, scrub_webhooks, scrub_request)
"""In this order: webhooks are made from the log of alerts."""


def _is_theirs(alert: Alert | None, fields: Mapping[bytes, bytes], trace: Trace, needle: Needle) -> bool:
    """Whether to remove this step; one that we do not understand must not even name the visitor."""
    if alert is None:
        return any(map(needle.is_in, fields.values()))
    is_new = trace.returned and alert.at_ms > trace.cut_ms
    return alert.user_id == trace.user_id and not is_new


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
