"""Delivery from the log of alerts to real receivers, good and bad, over a real Redis."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import orjson
import pytest

from alert_makers import make_alert, make_expired
from contracts.alerts import CART_ABANDONED, AlertState, Severity
from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import DeliveryStatus, Result
from delivery.webhooks.endpoints import DisabledReason, EndpointState, Filters
from delivery.webhooks.signing import InvalidSignature, make_secret
from readers.alerts.rendering import to_alert
from receivers import (
    Received,
    Receiver,
    bomb,
    drip_head,
    hang,
    open_receiver,
    say,
    say_in_turn,
    send_endlessly,
    slam,
)
from webhook_site import Site, until


async def test_an_alert_arrives_as_the_api_shows_it(site: Site, receiver: Receiver) -> None:
    secret = make_secret()
    endpoint = await site.add(receiver.url, secret=secret)
    async with site.delivering():
        (message_id,) = site.publish()
        (request,) = await receiver.wait_for(1)
        await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
    alert = make_alert(0)
    assert request.message_id == message_id == alert.record_id
    assert request.verify(secret) == {
        "type": "alert.churn_risk.firing",
        "timestamp": "2025-10-09T08:53:20Z",
        "data": orjson.loads(to_alert(alert).model_dump_json()),
    }
    status = await site.status(endpoint)
    assert (status.pending, status.missed, status.oldest_ms) == (0, 0, None)
    assert status.health.succeeded_ms is not None


async def test_only_what_is_wanted_and_only_what_comes_after_the_registration_is_sent(
    site: Site, receiver: Receiver
) -> None:
    site.publish(3)
    carts = Filters((CART_ABANDONED,), (AlertState.FIRING,), Severity.MEDIUM)
    await site.add(receiver.url, carts)
    site.publish(1)
    site.publish(1, kind=CART_ABANDONED, severity=Severity.LOW)
    (wanted,) = site.publish(1, kind=CART_ABANDONED, severity=Severity.MEDIUM)
    site.publish(1, kind=CART_ABANDONED, live=False)
    site.put([make_expired(make_alert(90, kind=CART_ABANDONED))])
    (last,) = site.publish(1, kind=CART_ABANDONED)
    async with site.delivering():
        await receiver.wait_for(2)
    assert sorted(receiver.ids) == sorted([wanted, last])


async def test_bad_receivers_delay_nobody(site: Site, receiver: Receiver) -> None:
    """The healthy one has everything before the first of the bad ones has even run into its timeout."""
    order: list[str] = []
    receiver.on_request = lambda _: order.append("healthy")
    answers = {
        "hang": hang, "drip": drip_head, "endless": send_endlessly, "slam": slam, "bomb": bomb,
        "500": say(500), "301": say(301, Location=receiver.url), "410": say(410),
        "429": say(429, Retry_After="86400"),
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        bad = {}
        for name, answer in answers.items():
            one = await stack.enter_async_context(open_receiver(answer))
            bad[name] = (one, await site.add(one.url))
        await site.add(receiver.url)
        async with site.delivering(timeout_s=3.0, scale=1.0):
            ids = site.publish(20)
            await receiver.wait_for(20)
            hung = await site.deliveries(bad["hang"][1])
            assert not any(logged.delivery.n_attempts for logged in hung.values())
            failed = {"hang": Result.TIMEOUT, "drip": Result.TIMEOUT, "slam": Result.CONNECTION,
                      "500": Result.STATUS, "301": Result.REDIRECT, "429": Result.THROTTLED}  # fmt: skip
            for name, result in failed.items():
                logged = await site.wait_until_status(bad[name][1], ids[0], DeliveryStatus.PENDING, 1)
                assert logged.delivery.attempts[0].result is result, name
            for name in ("endless", "bomb"):
                await site.wait_until_status(bad[name][1], ids[0], DeliveryStatus.DELIVERED)
            logged = await site.wait_until_status(bad["410"][1], ids[0], DeliveryStatus.FAILED)
            assert logged.delivery.attempts[0].result is Result.GONE
    assert sorted(receiver.ids) == sorted(ids)  # the redirect led to it, and was not followed
    resting = (await site.status(bad["429"][1])).health.rest_until_ms
    assert resting - wall_clock_ms() > 86_000_000
    assert len(bad["429"][0].received) <= site.policy.concurrency


async def test_a_failure_is_tried_again_with_the_same_id_and_a_new_timestamp(
    site: Site, receiver: Receiver
) -> None:
    receiver.answer = say_in_turn(say(500), say(500, b"still"), say(200))
    secret = make_secret()
    endpoint = await site.add(receiver.url, secret=secret)
    (message_id,) = site.publish()
    async with site.delivering(scale=0.3):
        await receiver.wait_for(2)
        assert receiver.ids == [message_id] * 2
        # The third attempt is minutes ahead, even scaled; whoever wants it now says so.
        waiting = await site.wait_until_status(endpoint, message_id, DeliveryStatus.PENDING, 2)
        assert waiting.due_ms is not None
        assert waiting.due_ms > wall_clock_ms() + 10_000
        await site.log(endpoint).resend(message_id)
        await receiver.wait_for(3)
        done = await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
    attempts = done.delivery.attempts
    assert [one.status for one in attempts] == [500, 500, 200]
    assert attempts[1].answer == "still"
    assert receiver.ids == [message_id] * 3
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    assert stamps == [one.at_ms // 1_000 for one in attempts]
    assert all(one.verify(secret) for one in receiver.received)
    assert len({one.body for one in receiver.received}) == 1


async def test_secrets_rotated_between_attempts_both_sign_the_next_one(
    site: Site, receiver: Receiver
) -> None:
    old, new = make_secret(), make_secret()
    receiver.answer = say_in_turn(say(500), say(200))
    endpoint = await site.add(receiver.url, secret=old)
    async with site.delivering(scale=0.4):
        site.publish()
        (first,) = await receiver.wait_for(1)
        await site.registry.change(
            endpoint.endpoint_id, lambda e: e.rotate(new, now_ms=wall_clock_ms(), overlap_ms=60_000)
        )
        _, second = await receiver.wait_for(2)
    assert first.verify(old)
    assert second.verify(old)
    assert second.verify(new)
    with pytest.raises(InvalidSignature):
        first.verify(new)


async def test_410_disables_the_endpoint_and_skips_what_waits(site: Site, receiver: Receiver) -> None:
    receiver.answer = say_in_turn(say(503), say(410), say(200))
    endpoint = await site.add(receiver.url)
    ids = site.publish(30)
    async with site.delivering():

        async def disabled() -> bool:
            return (await site.registry.read(endpoint.endpoint_id)).state is EndpointState.DISABLED

        await until(disabled, "the endpoint to be disabled")
        assert (await site.registry.read(endpoint.endpoint_id)).reason is DisabledReason.GONE

        async def settled() -> bool:
            return all(
                o.delivery.status is not DeliveryStatus.PENDING
                for o in (await site.deliveries(endpoint)).values()
            )

        await until(settled, "nothing to wait")
        kinds = {one.delivery.status for one in (await site.deliveries(endpoint)).values()}
        assert DeliveryStatus.SKIPPED in kinds
        n_requests = len(receiver.received)
        skipped = site.publish(5)
        # Taken up again, it begins with what comes from then on.
        await site.registry.change(
            endpoint.endpoint_id, lambda e: e.turn(EndpointState.ACTIVE, now_ms=wall_clock_ms())
        )
        fresh = site.publish(2)
        await receiver.wait_for(n_requests + 2)
        assert sorted(receiver.ids[n_requests:]) == sorted(fresh)
        # And a replay gets what was skipped.
        assert await site.log(endpoint).replay(0)
        await receiver.wait_for(n_requests + 2 + 37)
    assert set(receiver.ids[n_requests + 2 :]) == {*ids, *skipped, *fresh}


async def test_an_endpoint_that_only_fails_is_disabled_in_the_end(site: Site, receiver: Receiver) -> None:
    receiver.answer = say(500)
    endpoint = await site.add(receiver.url)
    site.publish(10)
    async with site.delivering(give_up_ms=200, scale=0.02):

        async def reason() -> bool:
            return (await site.registry.read(endpoint.endpoint_id)).reason is DisabledReason.FAILING

        await until(reason, "the endpoint to be given up")


async def test_an_overloaded_receiver_gets_one_request_at_a_time_until_it_answers_well(
    site: Site, receiver: Receiver
) -> None:
    busy = most = 0

    async def overloaded(writer: asyncio.StreamWriter, request: Received) -> None:
        nonlocal busy, most
        busy += 1
        if len(receiver.received) > site.policy.concurrency:  # what was under way when it first said so
            most = max(most, busy)
        await asyncio.sleep(0.02)
        busy -= 1
        await say(429 if len(receiver.received) < 12 else 200)(writer, request)

    receiver.answer = overloaded
    endpoint = await site.add(receiver.url)
    ids = site.publish(6)
    async with site.delivering(scale=0.0003):
        for message_id in ids:
            await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
    assert 1 <= most <= site.policy.concurrency
    assert (await site.status(endpoint)).health.throttled == 0


async def test_a_removed_endpoint_gets_nothing_more_and_leaves_nothing_behind(
    site: Site, receiver: Receiver
) -> None:
    receiver.answer = hang
    endpoint = await site.add(receiver.url)
    async with site.delivering(timeout_s=30):
        site.publish(8)
        await receiver.wait_for(1)
        await site.registry.remove(endpoint.endpoint_id)

        async def gone() -> bool:
            pattern = f"{site.settings.namespace}:{{webhooks}}:*"
            found = {key async for key in site.reader.redis.scan_iter(match=pattern)}
            return found <= {site.reader.keys.webhook_deliverer().encode()}

        await until(gone, "its keys to be gone")
        n_requests = len(receiver.received)
        site.publish(3)
        async with open_receiver(say(200)) as other:
            await site.add(other.url)
            site.publish(1)
            await other.wait_for(1)
        assert len(receiver.received) == n_requests


async def test_another_url_gets_the_retries_and_a_clean_record(site: Site, receiver: Receiver) -> None:
    async with open_receiver(say(429, Retry_After="86400")) as old:
        endpoint = await site.add(old.url)
        async with site.delivering(scale=1.0):
            (message_id,) = site.publish()
            await old.wait_for(1)
            await site.wait_until_status(endpoint, message_id, DeliveryStatus.PENDING, 1)
            await site.registry.change(endpoint.endpoint_id, lambda e: replace(e, url=receiver.url))
            (fresh,) = site.publish()
            await receiver.wait_for(1)
    assert receiver.ids == [fresh]
    assert (await site.status(endpoint)).health.throttled == 0


async def test_metrics_count_attempts_and_endpoints(site: Site, receiver: Receiver) -> None:
    receiver.answer = say_in_turn(say(500), say(200))
    endpoint = await site.add(receiver.url)
    async with site.delivering(scale=0.001):
        (message_id,) = site.publish()
        await site.wait_until_status(endpoint, message_id, DeliveryStatus.DELIVERED)
        registry = site.metrics.registry
        assert registry.get_sample_value("storepulse_webhook_attempts_total", {"result": "status"}) == 1
        assert registry.get_sample_value("storepulse_webhook_attempts_total", {"result": "delivered"}) == 1
        assert registry.get_sample_value("storepulse_webhook_endpoints", {"state": "active"}) == 1
        until_idle = "storepulse_webhook_oldest_pending_seconds"
        await until(lambda: registry.get_sample_value(until_idle) == 0, "nothing to wait")


async def test_an_endpoint_nobody_understands_stops_no_other(site: Site, receiver: Receiver) -> None:
    broken, torn = await site.add(receiver.url + "/broken"), await site.add(receiver.url + "/torn")
    await site.add(receiver.url)
    redis, keys = site.reader.redis, site.reader.keys
    await redis.hset(keys.webhook_endpoints(), broken.endpoint_id, b'{"from": "the future"}')
    await redis.hset(keys.webhook_progress(torn.endpoint_id), "cursor", b"nowhere")
    async with site.delivering():
        (message_id,) = site.publish()
        await receiver.wait_for(1)
    assert receiver.ids == [message_id]
