"""The doctor's check of webhooks: whether anybody delivers to them."""

from collections.abc import Iterator
from typing import Any

from redis import Redis

from contracts.keys import Keys
from contracts.settings import Settings
from delivery.webhooks.endpoints import EndpointState, decode_endpoint
from ops.diagnosis.checks import Check, Level


def check_webhooks(client: Redis, settings: Settings) -> Iterator[Check]:
    """Nothing where no endpoint is registered; raises `redis.RedisError`."""
    keys = Keys(settings.namespace, settings.partitions)
    rows: Any = client.hgetall(keys.webhook_endpoints())
    active = [endpoint_id for endpoint_id, raw in rows.items() if _is_active(raw)]
    if rows:
        names = [keys.webhook_deliverer(), *map(keys.webhook_lease, active)]
        yield judge_webhooks(len(active), served=bool(client.exists(*names)))


def judge_webhooks(n_active: int, *, served: bool) -> Check:
    """Is somebody delivering to the active endpoints?"""
    found = f"{n_active} active webhook{'' if n_active == 1 else 's'}"
    if served or not n_active:
        return Check("webhooks", Level.OK, f"{found}, {'a' if served else 'no'} deliverer is running")
    advice = "start `storepulse deliver`; alerts wait for it as long as they are stored"
    return Check("webhooks", Level.FAIL, f"{found}, but no deliverer is running: nothing is sent", advice)


def _is_active(raw: str) -> bool:
    try:
        return decode_endpoint(raw.encode()).state is EndpointState.ACTIVE
    except (KeyError, TypeError, ValueError):  # of another version
        return False
