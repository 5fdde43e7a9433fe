"""What the API does about webhooks, behind its routes."""

import asyncio
import secrets
from dataclasses import replace
from http import HTTPStatus

from api.http.errors import Problem
from api.resources.webhooks.requests import NewWebhook, WebhookChange
from api.resources.webhooks.schemas import to_webhook
from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import Delivery, DeliveryStatus, Result
from delivery.webhooks.delivery_log import DeliveryLog, Logged
from delivery.webhooks.endpoints import Endpoint, EndpointState, Filters, Secret, make_endpoint_id
from delivery.webhooks.messages import make_test_message
from delivery.webhooks.registry import Registry
from delivery.webhooks.sender import Sender
from delivery.webhooks.signing import make_secret
from delivery.webhooks.targets import UnsafeTarget, target_rules_of
from delivery.webhooks.unread_alerts import count_unread
from readers.reader import Reader

_CHECK_S = 5.0
_TESTS_AT_ONCE = 8


class WebhookService:
    """Registers, changes and tries endpoints. Methods raise `Problem`, and `redis.RedisError`."""

    def __init__(self, reader: Reader, sender: Sender | None = None) -> None:
        """`sender` replaces the one by the settings."""
        self._reader = reader
        self.registry = Registry(reader)
        self._sender = sender or Sender(
            target_rules_of(reader.settings), timeout_s=reader.settings.webhook_timeout_s
        )
        self._tests = asyncio.Semaphore(_TESTS_AT_ONCE)

    def log(self, endpoint_id: str) -> DeliveryLog:
        """The deliveries of an endpoint."""
        return DeliveryLog(self._reader, endpoint_id)

    async def add(self, wanted: NewWebhook, owner: str) -> tuple[Endpoint, str]:
        """A new endpoint and its secret."""
        await self._check(wanted.url)
        now_ms = wall_clock_ms()
        secret = make_secret()
        endpoint = Endpoint(
            endpoint_id=make_endpoint_id(),
            url=wanted.url,
            description=wanted.description,
            filters=wanted.to_filters(),
            secrets=(Secret(secret, now_ms),),
            created_ms=now_ms,
            owner=owner,
            changed_ms=now_ms,
            quiet_hours=wanted.quiet_hours,
        )
        await self.registry.add(endpoint)
        return endpoint, secret

    async def change(self, endpoint_id: str, change: WebhookChange) -> Endpoint:
        """The endpoint after the change."""
        if change.url is not None:
            await self._check(change.url)

        def make(old: Endpoint) -> Endpoint:
            new = _apply(old, change)
            return old if new == old else replace(new, changed_ms=wall_clock_ms())

        return await self.registry.change(endpoint_id, make)

    async def rotate(self, endpoint_id: str, overlap_h: float) -> tuple[Endpoint, str]:
        """The endpoint with a new secret; the old one signs too until the overlap is over."""
        secret = make_secret()
        overlap_ms = round(overlap_h * 3_600_000)
        endpoint = await self.registry.change(
            endpoint_id, lambda old: old.rotate(secret, now_ms=wall_clock_ms(), overlap_ms=overlap_ms)
        )
        return endpoint, secret

    async def send_test(self, endpoint_id: str) -> Logged:
        """Sends a test at once, whatever state the endpoint is in, and logs it; 503 while many are sent."""
        endpoint = await self.registry.read(endpoint_id)
        if self._tests.locked():
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "webhook.busy",
                "too too many tests are being sent; try again",
                headers={"Retry-After": "5"},
            )
        now_ms = wall_clock_ms()
        message = make_test_message(secrets.token_hex(8), now_ms)
        async with self._tests:
            attempt = await self._sender.send(endpoint, message)
        done = attempt.result is Result.DELIVERED
        delivery = Delivery(
            delivery_id=message.message_id,
            message_type=message.message_type,
            user_id="",
            created_ms=now_ms,
            status=DeliveryStatus.DELIVERED if done else DeliveryStatus.FAILED,
            failures=0 if done else 1,
            attempts=(attempt,),
            n_attempts=1,
        )
        log = self.log(endpoint_id)
        await log.record(delivery, message.body)
        return await log.find(message.message_id)

    async def describe(self, endpoint: Endpoint) -> dict[str, object]:
        """The fields of the endpoint as the API shows it."""
        status = await self.log(endpoint.endpoint_id).status()
        unread = 0
        if endpoint.state is EndpointState.ACTIVE and not status.delivering:
            unread = await count_unread(self._reader, endpoint.filters, status.cursor)
        return to_webhook(endpoint, status, unread, wall_clock_ms())

    async def _check(self, url: str) -> None:
        try:
            async with asyncio.timeout(_CHECK_S):
                await self._sender.check(url)
        except UnsafeTarget as exc:
            rule = exc.code.partition(".")[2]
            error = {"field": "url", "rule": rule, "detail": exc.detail}
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, exc.code, exc.detail, errors=[error]) from exc
        except TimeoutError as exc:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, "url.no_address", "url has a host that does not resolve"
            ) from exc


def _apply(old: Endpoint, change: WebhookChange) -> Endpoint:
    filters = Filters(
        old.filters.kinds if change.kinds is None else tuple(sorted(set(change.kinds))),
        old.filters.states if change.states is None else tuple(sorted(set(change.states))),
        change.min_severity or old.filters.min_severity,
        old.filters.min_value_minor if change.min_value_minor is None else change.min_value_minor or None,
    )
    new = replace(
        old,
        url=old.url if change.url is None else change.url,
        description=old.description if change.description is None else change.description,
        filters=filters,
        quiet_hours=old.quiet_hours if change.quiet_hours is None else change.quiet_hours,
    )
    if change.state is None or change.state == new.state:
        return new
    return replace(new, state=EndpointState(change.state), reason=None)
