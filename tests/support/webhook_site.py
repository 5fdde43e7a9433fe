"""Endpoints, alerts and deliverers on a real Redis, with waits short enough for tests in real time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from alert_makers import make_alert
from connections.asyncio_redis import open_redis_pool
from contracts.alerts import Alert
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from delivery.webhooks.deliverer import Deliverer
from delivery.webhooks.deliveries import DeliveryStatus
from delivery.webhooks.delivery_log import DeliveryLog, EndpointStatus, Logged
from delivery.webhooks.endpoints import Endpoint, Filters, Secret, make_endpoint_id
from delivery.webhooks.metrics import WebhookMetrics
from delivery.webhooks.policy import DeliveryPolicy
from delivery.webhooks.registry import Registry
from delivery.webhooks.sender import Sender
from delivery.webhooks.signing import make_secret
from delivery.webhooks.targets import TargetRules
from readers.reader import Reader
from shop_state import ShopState

QUICK = DeliveryPolicy(timeout_s=1.5, scale=0.01, lease_ms=1_500, renew_s=0.2, drain_s=2.0)
"""A hundredth of the waits between attempts."""


class Site:
    """One installation's webhooks."""

    def __init__(self, settings: Settings, state: ShopState, policy: DeliveryPolicy = QUICK) -> None:
        self.settings = settings
        self.state = state
        self.policy = policy
        self.metrics = WebhookMetrics()
        self.reader = Reader(open_redis_pool(settings), settings)
        self.registry = Registry(self.reader)
        self._n_alerts = 0

    async def add(self, url: str, filters: Filters | None = None, secret: str = "") -> Endpoint:
        """A registered endpoint."""
        now_ms = wall_clock_ms()
        endpoint = Endpoint(
            make_endpoint_id(), url, "", filters or Filters(), (Secret(secret or make_secret(), now_ms),),
            now_ms, "", changed_ms=now_ms,
        )  # fmt: skip
        await self.registry.add(endpoint)
        return endpoint

    def publish(self, count: int = 1, **fields: object) -> list[str]:
        """So many new alerts in the log; the ids of their messages."""
        alerts = [make_alert(self._n_alerts + i, **fields) for i in range(count)]
        self._n_alerts += count
        return self.put(alerts)

    def put(self, alerts: Iterable[Alert]) -> list[str]:
        """These steps in the log; the ids of their messages."""
        alerts = list(alerts)
        self.state.publish_alerts(alerts)
        self.state.flush()
        return [alert.record_id for alert in alerts]

    def log(self, endpoint: Endpoint) -> DeliveryLog:
        """The endpoint's deliveries."""
        return DeliveryLog(self.reader, endpoint.endpoint_id)

    async def status(self, endpoint: Endpoint) -> EndpointStatus:
        """How it stands with the endpoint."""
        return await self.log(endpoint).status()

    async def deliveries(self, endpoint: Endpoint) -> dict[str, Logged]:
        """Its newest deliveries by their ids."""
        logged, _ = await self.log(endpoint).read(None, 1_000)
        return {one.delivery.delivery_id: one for one in logged}

    async def wait_until_status(
        self, endpoint: Endpoint, message_id: str, status: DeliveryStatus, n_attempts: int = 0
    ) -> Logged:
        """The delivery, once it has this status and so many attempts."""

        async def holds() -> bool:
            one = (await self.deliveries(endpoint)).get(message_id)
            return one is not None and one.delivery.status is status and one.delivery.n_attempts >= n_attempts

        await until(holds, f"{message_id} to be {status} after {n_attempts} attempts")
        return (await self.deliveries(endpoint))[message_id]

    def make_deliverer(self, policy: DeliveryPolicy | None = None) -> Deliverer:
        """A deliverer that does not run yet."""
        policy = policy or self.policy
        sender = Sender(TargetRules(allow_private=True), timeout_s=policy.timeout_s)
        return Deliverer(self.reader, sender, policy, self.metrics)

    @asynccontextmanager
    async def delivering(self, **changes: object) -> AsyncIterator[Deliverer]:
        """A deliverer at work until the block ends; `changes` are of the policy."""
        deliverer = self.make_deliverer(replace(self.policy, **changes))  # type: ignore[arg-type]
        stopping = asyncio.Event()
        task = asyncio.create_task(deliverer.run(stopping))
        try:
            yield deliverer
        finally:
            stopping.set()
            await task

    async def close(self) -> None:
        """The connections; the keys are the state's to remove."""
        await self.reader.redis.aclose()


async def until(holds: Callable[[], object], what: str, timeout_s: float = 20.0) -> None:
    """Polls a function, async or not, until it gives something true; fails with what was awaited."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                found = holds()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s:g} s for {what}") from None
