"""Deleted visitors: gone from Redis, and kept out when the log is read again, whatever is harmed."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable

from api.registry import find_scrubbers
from api.resources.privacy.job import DeletionJob, JobStatus
from api.resources.privacy.jobs import DeletionJobs
from api.resources.privacy.recorder import record
from api.resources.privacy.remover import Remover
from contracts.alerts import decode_alert
from contracts.clock import wall_clock_ms
from contracts.deletions import SETTLE_MS
from contracts.events import Event, EventType, encode
from contracts.keys import Keys
from contracts.topics import Topics
from delivery.webhooks.deliveries import Delivery, encode_delivery
from ops.audit import VisitorView, read_log, read_state
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import make_producer
from ops.stack.record import settings_environment
from readers.id_search import Needle, search
from readers.reader import Reader
from system_questions import ask, replay

OpenSystem = Callable[..., SystemUnderTest]

GONE, STAYING = "visitor-who-leaves", ("visitor-who-stays", "visitor-beside")
DONE_S = 60.0


def send(system: SystemUnderTest, *users: str, visit: int = 0) -> int:
    """Each visitor looks at two things and puts one into the cart, now; returns the number of events."""
    producer = make_producer(system.settings)
    topics, at_ms = Topics(system.settings.topic_prefix), wall_clock_ms()
    kinds = (EventType.VIEW, EventType.CART, EventType.VIEW)
    for user in users:
        for number, kind in enumerate(kinds):
            event = Event(
                f"{user}-{visit}-{number}",
                kind,
                at_ms + number,
                user,
                f"p{number}",
                price_minor=100,
                currency="EUR",
            )
            producer.produce(topics.of(kind), encode(event), user.encode())
    assert producer.flush(30) == 0
    return len(users) * len(kinds)


def begin(system: SystemUnderTest, user: str) -> DeletionJob:
    async def question(reader: Reader) -> DeletionJob:
        jobs = DeletionJobs(reader)
        return await record(reader, jobs, await jobs.open(user))

    return ask(system, question)


def finish(system: SystemUnderTest, job: DeletionJob) -> DeletionJob:
    """Go on with the deletion as a process of the API does, until it is done."""

    async def question(reader: Reader) -> DeletionJob:
        remover, deadline = Remover(reader, find_scrubbers(reader.settings)), time.monotonic() + DONE_S
        remover.start()
        while True:
            found = await remover.jobs.get(job.deletion_id)
            assert found is not None
            if found.status is JobStatus.DONE:
                await remover.close()
                return found
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.05)

    return ask(system, question)


def places_of(system: SystemUnderTest, user: str) -> set[str]:
    async def question(reader: Reader) -> set[str]:
        (places,) = await search(reader.redis, reader.keys, [Needle(user)])
        return {place.key for place in places}

    return ask(system, question)


def leave_traces(system: SystemUnderTest, user: str) -> str:
    """What people and webhooks leave of an alert; returns its id."""
    alerts = [decode_alert(value) for _, value in read_log(system.client, system.keys)]
    alert_id = next(alert.alert_id for alert in alerts if alert.user_id == user)
    system.client.set(
        system.keys.alert_handling(alert_id), '{"feedback":{"by":"k1","at_ms":1,"verdict":"useful"}}'
    )
    system.client.zadd(system.keys.alert_mutes(), {f"cart_abandoned:{user}": 2**45})
    system.client.hset(system.keys.webhook_endpoints(), "e1", "{}")
    delivery = Delivery("d1", "alert.firing", user, 1)
    system.client.hset(system.keys.webhook_deliveries("e1"), "d1", encode_delivery(delivery))
    system.client.hset(system.keys.webhook_bodies("e1"), "d1", f'{{"user_id":"{user}"}}')
    system.client.zadd(system.keys.webhook_pending("e1"), {"d1": 2**45})
    return alert_id


def others(system: SystemUnderTest, keys: Keys) -> dict[str, VisitorView]:
    found = read_state(system.client, keys).visitors
    return {user: view for user, view in found.items() if user in STAYING}


def await_alerts(system: SystemUnderTest) -> None:
    """Until every cart was given up, and all sessions have ended."""

    def all_over() -> bool:
        told = {decode_alert(value).user_id for _, value in read_log(system.client, system.keys)}
        views = read_state(system.client, system.keys).visitors.values()
        return told == {GONE, *STAYING} and all(view.ended for view in views)

    system.await_that(all_over, 60, "an alert of each visitor, and the end of the sessions")


def await_new(system: SystemUnderTest, user: str, cut_ms: int) -> None:
    """Until there is somebody of this id who has done what `send` sends, and nothing before the cut."""

    def is_new() -> bool:
        view = read_state(system.client, system.keys).visitors.get(user)
        return view is not None and view.counts == (2, 0, 1, 0, 0) and view.first_ms > cut_ms

    system.await_that(is_new, 60, "somebody new")


def test_a_deleted_visitor_is_nowhere_and_stays_away_when_the_log_is_read_again(
    open_shop: OpenSystem,
) -> None:
    system = open_shop(workers=1, alert_ttl_ms=1_000, cart_recovery_ms=1_000)
    sent = send(system, GONE, *STAYING)
    system.await_that(lambda: system.counter("applied") == sent, 60, "the events to be applied")
    await_alerts(system)
    alert_id = leave_traces(system, GONE)
    before = others(system, system.keys)
    assert len(places_of(system, GONE)) >= 4

    job = finish(system, begin(system, GONE))
    assert places_of(system, GONE) == set()
    assert (job.user_id, job.returned, job.remaining) == (None, False, None)
    assert job.removed["state"] == job.removed["snoozes"] == job.removed["alert_notes"] == 1
    assert job.removed["webhook_deliveries"] == 1
    assert job.removed["alert_steps"] >= 1
    assert not system.client.exists(system.keys.alert_handling(alert_id))
    assert others(system, system.keys) == before

    again = replay(system, 1)
    again.supervisor.add()
    try:

        def all_read() -> bool:
            assert not again.client.exists(again.keys.visitor(GONE)), "not even for a moment"
            return again.counter("applied") + again.counter("forgotten") == sent

        again.await_that(all_read, 60, "the whole log to be read")
        assert (again.counter("applied"), again.counter("forgotten")) == (sent - 3, 3)
        again.await_that(lambda: others(again, again.keys) == before, 60, "the others to be as before")
        assert places_of(again, GONE) == set()
        system.await_that(lambda: wall_clock_ms() > (job.cut_ms or 0), 10, "the deletion to settle")
        send(system, GONE, visit=2)
        for shop in (system, again):
            await_new(shop, GONE, job.cut_ms or 0)
    finally:
        again.supervisor.close()
        again.client.close()


def test_a_worker_killed_in_between_forgets_nobody_less(open_shop: OpenSystem) -> None:
    system = open_shop(workers=1, scoring=False)
    sent = send(system, GONE, *STAYING)
    system.await_that(lambda: system.counter("applied") == sent, 60, "the events to be applied")
    (worker,) = system.supervisor.workers
    worker.suspend()
    job = begin(system, GONE)
    sent += send(system, GONE, *STAYING, visit=1)  # under way when the deletion was asked for
    worker.kill()
    finish(system, job)
    names = ("applied", "forgotten", "duplicates", "late")
    system.await_that(lambda: sum(system.counter(n) for n in names) == sent, 60, "all events to be counted")
    assert system.counter("forgotten") == 3
    assert places_of(system, GONE) == set()
    assert {user: sum(view.counts) for user, view in others(system, system.keys).items()} == dict.fromkeys(
        STAYING, 6
    )


def test_a_redis_from_before_the_deletion_is_cleaned_again(open_shop: OpenSystem) -> None:
    """Its copy knows the visitor, but not whom the digest in the log means."""
    system = open_shop(workers=1, scoring=False)
    sent = send(system, GONE, *STAYING)
    system.await_that(lambda: system.counter("applied") == sent, 60, "the events to be applied")
    blob, p = system.client.get(system.keys.visitor(GONE)), begin(system, GONE).partition
    deletions = f"off:{Topics(system.settings.topic_prefix).deletions}"
    system.await_that(lambda: bool(system.client.exists(system.keys.forgotten(p))), 60, "the deletion")
    # As a copy of Redis from before the request has it.
    pipe = system.client.pipeline(transaction=True)
    pipe.set(system.keys.visitor(GONE), blob or b"")
    pipe.hdel(system.keys.meta(p), deletions)
    pipe.delete(system.keys.forgotten(p), system.keys.forgetting(p))
    pipe.execute()
    system.await_that(lambda: bool(system.client.exists(system.keys.forgotten(p))), 60, "the deletion, again")
    assert not system.client.exists(system.keys.visitor(GONE))
    assert all(system.client.exists(system.keys.visitor(user)) for user in STAYING)


def test_who_goes_on_takes_over_from_a_process_that_was_killed(open_shop: OpenSystem) -> None:
    system = open_shop(workers=1, scoring=False)
    send(system, GONE)
    system.await_that(lambda: bool(system.client.exists(system.keys.visitor(GONE))), 60, "the visitor")
    (worker,) = system.supervisor.workers
    worker.suspend()
    env = settings_environment(system.settings)
    argv = [sys.executable, "-P", "-m", "ops.cli", "privacy", "delete", GONE]
    child = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    recorded = lambda: bool(_jobs(system)) and b"offset" in _jobs(system)[0]  # noqa: E731
    system.await_that(recorded, 30, "the record")
    child.kill()
    child.wait()
    worker.resume()
    (fields,) = _jobs(system)
    assert fields[b"user_id"] == GONE.encode()
    job = ask(system, lambda reader: DeletionJobs(reader).get(fields[b"deletion_id"].decode()))
    assert job is not None
    done = finish(system, job)
    assert done.user_id is None
    assert places_of(system, GONE) == set()


def test_a_request_that_never_reached_kafka_is_recorded_by_whoever_goes_on(open_shop: OpenSystem) -> None:
    system = open_shop(workers=1, scoring=False)
    send(system, GONE)
    system.await_that(lambda: bool(system.client.exists(system.keys.visitor(GONE))), 60, "the visitor")
    job = ask(system, lambda reader: DeletionJobs(reader).open(GONE))
    assert job.status is JobStatus.PENDING
    done = finish(system, job)
    assert done.cut_ms is not None
    assert done.cut_ms >= job.requested_ms + SETTLE_MS
    assert places_of(system, GONE) == set()


def _jobs(system: SystemUnderTest) -> list[dict[bytes, bytes]]:
    names = system.client.scan_iter(match=system.keys.deletion("*"))
    return [system.client.hgetall(name) for name in names]  # type: ignore[misc]
