"""Visitors browse, log in, buy, log out and come back, while worker, Redis and broker are killed.

What is in Redis afterwards is compared with what the senders themselves wrote down. `TEST_CUSTOMERS` says
how many customers there are; each logs in on two devices.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from api.registry import find_scrubbers
from api.resources.customers.unlinking import NotRecorded, unlink
from api.resources.privacy.job import DeletionJob, JobStatus
from api.resources.privacy.jobs import DeletionJobs
from api.resources.privacy.linked import open_deletions
from api.resources.privacy.remover import Remover
from contracts.alerts import AlertState, decode_alert
from contracts.buckets import Metric
from contracts.customers import Customer, unpack_customer
from contracts.visitor import Visitor, unpack_visitor
from identity_traffic import Shoppers, Written
from ops.audit import read_log
from ops.chaos.faults import kill_broker, kill_redis, kill_worker
from ops.chaos.system import NotRecovered, SystemUnderTest
from ops.stack.broker import KafkaBroker
from readers.customers import find_visitor
from readers.id_search import Needle, search
from readers.reader import Reader
from system_questions import ask, replay

pytestmark = pytest.mark.slow

OpenSystem = Callable[..., SystemUnderTest]

CUSTOMERS = int(os.environ.get("TEST_CUSTOMERS", "1200"))
GUESTS = CUSTOMERS // 4
UNLINKED = range(5, CUSTOMERS, 100)
"""Customers off whom the phone is taken."""
DELETED = range(1, CUSTOMERS, 200)
IDLE_MS, CART_IDLE_MS = 50_000, 45_000
PHASE_S = max(12.0, CUSTOMERS / 200)
PATIENCE_S = 90 + CUSTOMERS / 50


def visitors_of(system: SystemUnderTest, ids: list[str]) -> dict[str, Visitor]:
    blobs = blobs_of(system, [system.keys.visitor(id_) for id_ in ids])
    return {id_: unpack_visitor(blob) for id_, blob in zip(ids, blobs, strict=True) if blob is not None}


def customers_of(system: SystemUnderTest, ids: list[str]) -> dict[str, Customer]:
    blobs = blobs_of(system, [system.keys.customer(id_) for id_ in ids])
    return {id_: unpack_customer(blob) for id_, blob in zip(ids, blobs, strict=True) if blob is not None}


def blobs_of(system: SystemUnderTest, names: list[str]) -> list[Any]:
    pipe = system.client.pipeline(transaction=False)
    for name in names:
        pipe.get(name)
    return pipe.execute()


def difference(system: SystemUnderTest, written: Written) -> list[str]:
    """What is not as it was written down, in words."""
    found = visitors_of(system, list(written.counts))
    wrong = []
    for id_, counts in written.counts.items():
        seen = dict(enumerate(found[id_].totals.counts)) if id_ in found else {}
        if {rank: number for rank, number in seen.items() if number} != dict(counts):
            wrong.append(f"{id_}: {seen}, not {dict(counts)}")
    customers = customers_of(system, list(written.devices))
    for id_ in written.devices:
        customer = customers.get(id_)
        if customer is None:
            wrong.append(f"{id_}: no record")
            continue
        orders = {
            str(order.order_id): sum((line.price_minor or 0) * line.quantity for line in order.lines)
            for order in customer.orders
        }
        totals = (customer.n_orders, customer.revenue_minor.get("EUR", 0))
        expected = written.orders.get(id_, {})
        if orders != expected or totals != (len(expected), sum(expected.values())):
            wrong.append(f"{id_}: {orders}, {totals}, not {expected}")
        if {device.visitor_id for device in customer.devices} != written.devices[id_]:
            wrong.append(f"{id_}: devices {customer.devices}")
    return wrong


def shop_total(system: SystemUnderTest, metric: str) -> int:
    total = 0
    for p in range(system.keys.partitions):
        for name in system.client.scan_iter(f"{system.keys.prefix(p)}s:hour:*"):
            value = system.client.hget(name, metric)
            total += int(value) if isinstance(value, bytes) else 0
    return total


def finish(system: SystemUnderTest, user: str) -> DeletionJob:
    """Delete a customer and whoever is linked, until all of it is done."""

    async def question(reader: Reader) -> DeletionJob:
        remover = Remover(reader, find_scrubbers(reader.settings))
        job = await open_deletions(reader, DeletionJobs(reader), user)
        deadline = time.monotonic() + 60
        while job.status is not JobStatus.DONE:
            assert time.monotonic() < deadline, job
            await remover.advance()
            job = await remover.jobs.get(job.deletion_id) or job
        return job

    return ask(system, question)


def test_devices_and_customers_are_counted_as_they_were_sent(
    open_shop: OpenSystem, private_kafka: KafkaBroker
) -> None:
    system = open_shop(
        workers=2, broker=private_kafka, scoring=False, idle_ms=IDLE_MS, cart_idle_ms=CART_IDLE_MS,
        alert_cooldown_ms=600_000, cart_recovery_ms=600_000, disorder_ms=15_000,
    )  # fmt: skip
    shoppers, draw = Shoppers(system, CUSTOMERS, GUESTS, PHASE_S, 2 * IDLE_MS / 1_000), random.Random(3)
    written = shoppers.written
    thread = threading.Thread(target=shoppers.run)
    thread.start()
    for fault, pause_s in (
        (kill_worker, 4),
        (kill_redis, 5),
        (kill_worker, 5),
        (kill_broker, 40),
        (kill_redis, 20),
    ):
        time.sleep(pause_s)
        fault(system, draw)
    thread.join()
    await_written(system, written)
    assert shoppers.n_away > CUSTOMERS // 3
    assert system.counter("forwarded") >= shoppers.n_away
    orders = sum(len(orders) for orders in written.orders.values())
    money = sum(sum(orders.values()) for orders in written.orders.values())
    assert (shop_total(system, Metric.ORDERS), shop_total(system, "m.EUR")) == (orders, money)

    visitors = visitors_of(system, list(written.counts))
    devices = {id_: visitor for id_, visitor in visitors.items() if not id_.startswith(("cust", "guest"))}
    assert Counter((id_.split("-")[0], v.head.number) for id_, v in devices.items()) == {
        ("phone", 2): CUSTOMERS, ("laptop", 1): CUSTOMERS,
    }  # fmt: skip
    assert shop_total(system, Metric.SESSIONS) == sum(visitor.head.number for visitor in visitors.values())
    alerts = [decode_alert(value) for _, value in read_log(system.client, system.keys)]
    abandoned = {alert.user_id: alert.customer_id for alert in alerts if alert.state is AlertState.FIRING}
    assert set(abandoned) == written.carts
    assert all(owner is None or written.devices[owner] >= {id_} for id_, owner in abandoned.items())
    assert sum(owner is not None for owner in abandoned.values()) >= CUSTOMERS // 4

    found = ask(system, lambda reader: find_visitor(reader, "cust-00001"))
    assert found is not None
    assert (found.visitor_id, found.customer_id) == ("phone-00001", "cust-00001")

    for n in UNLINKED:
        unlink_for_sure(system, f"cust-{n:05}", f"phone-{n:05}")
        written.devices[f"cust-{n:05}"].discard(f"phone-{n:05}")
    await_written(system, written)
    system.await_that(
        lambda: not any(customer_of(system, f"phone-{n:05}") for n in UNLINKED), 30, "the devices to forget"
    )

    gone = [f"{kind}-{n:05}" for n in DELETED for kind in ("cust", "phone", "laptop")]
    for n in DELETED:
        assert len(finish(system, f"phone-{n:05}").parts) == 2
    for id_ in gone:
        for kept in (written.counts, written.devices, written.orders):
            kept.pop(id_, None)
    assert places_of(system, gone) == [set()] * len(gone)
    assert difference(system, written) == []

    again = replay(system, 1)
    again.supervisor.add()
    try:
        await_written(again, written)
        assert places_of(again, gone) == [set()] * len(gone)
        assert difference(system, written) == []
    finally:
        again.supervisor.close()
        again.client.close()
    print(  # noqa: T201 - a measurement
        f"{CUSTOMERS:,} customers, {len(devices):,} devices that logged in, {GUESTS:,} guests: "
        f"{orders:,} orders, {written.n_events:,} events, {shoppers.n_away:,} of them forwarded, "
        f"{len(abandoned):,} alerts; {len(UNLINKED)} unlinked, {len(gone)} ids deleted"
    )


def await_written(system: SystemUnderTest, written: Written) -> None:
    try:
        system.await_that(lambda: difference(system, written) == [], PATIENCE_S, "everything as written down")
    except NotRecovered as exc:
        raise AssertionError(difference(system, written)[:20]) from exc


def unlink_for_sure(system: SystemUnderTest, customer_id: str, visitor_id: str) -> None:
    """As whoever asks the API does: what Kafka did not acknowledge in time is asked for again."""

    def is_unlinked() -> bool:
        try:
            ask(system, partial(unlink, customer_id=customer_id, visitor_id=visitor_id))
        except NotRecorded:
            return False
        return True

    system.await_that(is_unlinked, 60, f"{visitor_id} to be unlinked")


def customer_of(system: SystemUnderTest, visitor_id: str) -> str | None:
    found = ask(system, lambda reader: find_visitor(reader, visitor_id))
    assert found is not None, visitor_id
    return found.customer_id


def places_of(system: SystemUnderTest, ids: list[str]) -> list[set[str]]:
    async def question(reader: Reader) -> list[set[str]]:
        found = await search(reader.redis, reader.keys, [Needle(id_) for id_ in ids])
        return [{place.key for place in places} for places in found]

    return ask(system, question)
