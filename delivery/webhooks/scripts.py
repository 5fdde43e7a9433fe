"""The steps in Redis that must be one, and the keys of an endpoint that they work on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from contracts.keys import Keys

_TEXTS = {
    name: (Path(__file__).parent / f"{name}.lua").read_text()
    for name in ("claim", "release", "enqueue", "finish", "record", "resend", "change", "replay", "forget")
}


class EndpointKeys(NamedTuple):
    """The keys of one endpoint's deliveries."""

    lease: str
    progress: str
    pending: str
    waiting: str
    deliveries: str
    bodies: str
    log: str
    finished: str


def endpoint_keys(keys: Keys, endpoint_id: str) -> EndpointKeys:
    """The keys of this endpoint."""
    return EndpointKeys(
        keys.webhook_lease(endpoint_id),
        keys.webhook_progress(endpoint_id),
        keys.webhook_pending(endpoint_id),
        keys.webhook_waiting(endpoint_id),
        keys.webhook_deliveries(endpoint_id),
        keys.webhook_bodies(endpoint_id),
        keys.webhook_log(endpoint_id),
        keys.webhook_finished(endpoint_id),
    )


async def run_script(redis: Redis, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """The reply of the script of this name."""
    reply: Any = await redis.eval(_TEXTS[name], len(keys), *keys, *args)
    return reply
