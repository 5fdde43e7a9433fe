"""Delivery from the log of alerts to real receivers, good and bad, over a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import orjson
import pytest

from alert_makers import make_alert, make_expired
from api.alerts.log import START, Cursor, read_ends
from api.alerts.schemas import to_alert
from api.reader import wall_clock_ms
from api.webhooks.backlog import Lookout, Position, read_page
from api.webhooks.endpoints import DisabledReason, EndpointState, Filters
from api.webhooks.outcomes import DeliveryStatus, Result
from api.webhooks.signing import InvalidSignature, make_secret
from contracts.alerts import AlertKind, AlertState, Severity
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


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver(say(200)) as receiver:
        yield receiver


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
    carts = Filters((AlertKind.CART_ABANDONED,), (AlertState.FIRING,), Severity.MEDIUM)
    await site.add(receiver.url, carts)
    site.publish(1)
    site.publish(1, kind=AlertKind.CART_ABANDONED, severity=Severity.LOW)
    (wanted,) = site.publish(1, kind=AlertKind.CART_ABANDONED, severity=Severity.MEDIUM)
    site.publish(1, kind=AlertKind.CART_ABANDONED, live=False)
    site.put([make_expired(make_alert(90, kind=AlertKind.CART_ABANDONED))])
    (last,) = site.publish(1, kind=AlertKind.CART_ABANDONED)
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


async def test_a_paused_endpoint_keeps_its_place_and_gets_everything_once_resumed(
    site: Site, receiver: Receiver
) -> None:
    endpoint = await site.add(receiver.url)
    async with site.delivering() as deliverer:
        before = site.publish(2)
        await receiver.wait_for(2)

        async def turn(state: EndpointState) -> None:
            new = await site.registry.change(
                endpoint.endpoint_id, lambda e: e.turn(state, now_ms=wall_clock_ms())
            )
            await until(lambda: deliverer.known[endpoint.endpoint_id] == new, "the change to be noticed")

        await turn(EndpointState.PAUSED)
        async with open_receiver(say(200)) as other:
            await site.add(other.url)
            meanwhile = site.publish(5)
            await other.wait_for(5)
        assert set(await site.deliveries(endpoint)) == set(before)
        await turn(EndpointState.ACTIVE)
        await receiver.wait_for(2 + 5)
    assert sorted(receiver.ids[2:]) == sorted(meanwhile)


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


async def test_what_finds_no_room_waits_in_the_log_and_what_the_log_drops_is_counted(
    site: Site, receiver: Receiver
) -> None:
    endpoint = await site.add(receiver.url, Filters((AlertKind.CHURN_RISK,)))
    receiver.answer = hang
    async with site.delivering(pending_max=10, timeout_s=60):
        ids = site.publish(40)
        site.publish(40, kind=AlertKind.CART_ABANDONED)

        async def full() -> bool:
            return (await site.status(endpoint)).pending == 10

        await until(full, "the queue to be full")
        first = set(await site.deliveries(endpoint))
        assert first == set(ids[:10])
        site.state.trim_alerts(55)  # of those that wait in the log, 15 remain
        site.state.flush()
        receiver.answer = say(200)
        await receiver.wait_for(4)
    # A new process: the attempts that hung are made again, with the same ids.
    n_hung = len(receiver.received)
    async with site.delivering(pending_max=10):
        await receiver.wait_for(n_hung + 25)
    status = await site.status(endpoint)
    assert set(receiver.ids[n_hung:]) == {*ids[:10], *ids[25:]}
    assert status.missed >= 1
    assert status.missed_ms is not None


async def test_the_lookout_counts_exactly_what_was_dropped_of_what_it_saw(site: Site) -> None:
    carts = Filters((AlertKind.CART_ABANDONED,))
    site.publish(1)
    after = (await read_ends(site.reader))[1]
    lookout = Lookout()
    for _ in range(20):
        site.publish(1)
        site.publish(1, kind=AlertKind.CART_ABANDONED)
    await lookout.look(site.reader, carts, after)
    assert await lookout.locate(site.reader, after) == Position(after, 0)
    site.state.trim_alerts(10)
    site.state.flush()
    place = await lookout.locate(site.reader, after)
    assert place.missed == 15
    page = await read_page(site.reader, carts, place.cursor, 100, None)
    assert len(page.messages) == 5
    # Who has seen nothing knows that something is gone, not how much.
    assert (await Lookout().locate(site.reader, after)).missed == 1


async def test_a_log_that_began_anew_is_read_from_its_start(site: Site) -> None:
    site.publish(3)
    ahead = Cursor(2**45, 0)
    assert await Lookout().locate(site.reader, ahead) == Position(START, 0)


async def test_a_replay_sends_everything_since_then_again_with_the_same_ids(
    site: Site, receiver: Receiver
) -> None:
    endpoint = await site.add(receiver.url)
    async with site.delivering():
        early = site.publish(3)
        await receiver.wait_for(3)
        await asyncio.sleep(0.01)
        since_ms = wall_clock_ms()
        late = site.publish(100)
        await receiver.wait_for(103)
        assert await site.log(endpoint).replay(since_ms)
        await receiver.wait_for(203)
        assert sorted(receiver.ids[103:]) == sorted(late)
        one = await site.wait_until_status(endpoint, late[0], DeliveryStatus.DELIVERED, 2)
        assert one.delivery.n_attempts == 2
        assert await site.log(endpoint).replay(0)
        await receiver.wait_for(306)
        assert sorted(receiver.ids[203:]) == sorted([*early, *late])
        assert not await site.log(endpoint).replay(wall_clock_ms() + 1_000)

        async def over() -> bool:
            return not (await site.status(endpoint)).replaying

        await until(over, "the replay to be over")


async def test_new_alerts_overtake_a_replay(site: Site, receiver: Receiver) -> None:
    endpoint = await site.add(receiver.url)
    async with site.delivering(replay_ahead=4, concurrency=1):
        site.publish(150)
        await receiver.wait_for(150)
        assert await site.log(endpoint).replay(0)
        await receiver.wait_for(160)
        (fresh,) = site.publish(1)
        await receiver.wait_for(301)
    assert receiver.ids.index(fresh) < 250


async def test_snoozed_visitors_are_left_out(site: Site, receiver: Receiver) -> None:
    await site.add(receiver.url)
    muted = make_alert(50)
    keys = site.reader.keys
    await site.reader.redis.zadd(
        keys.alert_mutes(), {f"{muted.kind}:{muted.user_id}": wall_clock_ms() + 60_000}
    )
    async with site.delivering():
        site.put([muted])
        (heard,) = site.publish(1)
        await receiver.wait_for(1)
    assert receiver.ids == [heard]


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
            return [key async for key in site.reader.redis.scan_iter(match=pattern)] == []

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
    await redis.hset(keys.webhook_lane(torn.endpoint_id), "cursor", b"nowhere")
    async with site.delivering():
        (message_id,) = site.publish()
        await receiver.wait_for(1)
    assert receiver.ids == [message_id]
