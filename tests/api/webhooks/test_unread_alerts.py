"""What waits for an endpoint: while it is paused or slow, what it missed, and what is sent again."""

import asyncio

from alert_makers import make_alert
from contracts.alerts import CART_ABANDONED, CHURN_RISK
from contracts.clock import wall_clock_ms
from delivery.webhooks.deliveries import DeliveryStatus
from delivery.webhooks.endpoints import EndpointState, Filters
from delivery.webhooks.unread_alerts import MissedAlerts, Position, count_unread, read_page
from readers.alerts.log import START, Cursor, read_ends
from receivers import (
    Receiver,
    hang,
    open_receiver,
    say,
)
from webhook_site import Site, until


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


async def test_what_finds_no_room_waits_in_the_log_and_what_the_log_drops_is_counted(
    site: Site, receiver: Receiver
) -> None:
    endpoint = await site.add(receiver.url, Filters((CHURN_RISK,)))
    receiver.answer = hang
    async with site.delivering(pending_max=10, timeout_s=60):
        ids = site.publish(40)
        site.publish(40, kind=CART_ABANDONED)

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
    carts = Filters((CART_ABANDONED,))
    site.publish(1)
    after = (await read_ends(site.reader))[1]
    missed_alerts = MissedAlerts()
    for _ in range(20):
        site.publish(1)
        site.publish(1, kind=CART_ABANDONED)
    await missed_alerts.look(site.reader, carts, after)
    assert await missed_alerts.locate(site.reader, after) == Position(after, 0)
    site.state.trim_alerts(10)
    site.state.flush()
    place = await missed_alerts.locate(site.reader, after)
    assert place.missed == 15
    page = await read_page(site.reader, carts, place.cursor, 100, None)
    assert len(page.messages) == 5
    # Who has seen nothing knows that something is gone, not how much.
    assert (await MissedAlerts().locate(site.reader, after)).missed == 1


async def test_a_log_that_began_anew_is_read_from_its_start(site: Site) -> None:
    site.publish(3)
    ahead = Cursor(2**45, 0)
    assert await MissedAlerts().locate(site.reader, ahead) == Position(START, 0)


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


async def test_only_carts_worth_the_least_value_are_told(site: Site, receiver: Receiver) -> None:
    await site.add(receiver.url, Filters(min_value_minor=5_000))
    dear = site.publish(1, cart_value_minor=5_000, currency="EUR")
    site.publish(1, cart_value_minor=4_999, currency="EUR")
    site.publish(1, cart_value_minor=None, currency=None)
    dear += site.publish(1, cart_value_minor=20_000, currency="EUR")
    async with site.delivering():
        await receiver.wait_for(2)
    assert sorted(receiver.ids) == sorted(dear)


async def test_it_is_known_whether_a_deliverer_runs_and_what_waits(site: Site, receiver: Receiver) -> None:
    endpoint = await site.add(receiver.url, Filters((CHURN_RISK,)))
    site.publish(3, kind=CHURN_RISK)
    site.publish(2, kind=CART_ABANDONED)
    status = await site.status(endpoint)
    assert (status.delivering, status.has_deliverer) == (False, False)
    assert await count_unread(site.reader, endpoint.filters, status.cursor) == 3
    async with site.delivering():
        await receiver.wait_for(3)
        status = await site.status(endpoint)
        assert (status.delivering, status.has_deliverer) == (True, True)
        late = await site.add(receiver.url)
        assert (await site.status(late)).has_deliverer, "though nobody has its lease yet"
    assert await count_unread(site.reader, endpoint.filters, (await site.status(endpoint)).cursor) == 0
