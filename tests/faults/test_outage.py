"""While Kafka cannot be read nobody counts as gone: what a visitor did may be waiting there."""

from collections.abc import Callable

from contracts.alerts import AlertState, decode_alert
from contracts.clock import wall_clock_ms
from contracts.events import Event, EventType, encode
from contracts.topics import Topics
from ops.audit import read_log
from ops.chaos.system import SystemUnderTest
from ops.chaos.traffic import make_producer
from ops.stack.broker import KafkaBroker

OpenSystem = Callable[..., SystemUnderTest]

CART_IDLE_MS, DISORDER_MS = 6_000, 1_000


def put(system: SystemUnderTest, kind: EventType) -> int:
    """Let the only visitor do this now; returns when that is, once the broker has it."""
    at_ms = wall_clock_ms()
    event = Event(f"e-{kind}", kind, at_ms, "u1", "p1", price_minor=100, currency="EUR")
    producer = make_producer(system.settings)
    producer.produce(Topics(system.settings.topic_prefix).of(kind), encode(event), b"u1")
    assert producer.flush(30) == 0
    return at_ms


def test_a_cart_is_not_abandoned_by_a_visitor_whose_events_cannot_be_read(
    private_kafka: KafkaBroker, open_shop: OpenSystem
) -> None:
    system = open_shop(
        broker=private_kafka, idle_ms=8_000, cart_idle_ms=CART_IDLE_MS, disorder_ms=DISORDER_MS, scoring=False
    )
    (worker,) = system.supervisor.workers
    system.await_that(lambda: system.owns_something(worker), 60, "the worker to own partitions")
    put(system, EventType.CART)
    system.await_that(lambda: system.counter("applied") == 1, 60, "the cart to be applied")
    worker.suspend()
    seen_ms = put(system, EventType.VIEW)
    private_kafka.kill()
    worker.resume()

    over_ms = seen_ms + CART_IDLE_MS + DISORDER_MS + 1_000
    system.await_that(
        lambda: any(meta.get("updated_ms", 0) > over_ms for meta in system.metas()),
        60,
        "a commit after the silence",
    )
    assert system.counter("applied") == 1
    assert system.outbox_sizes() == {}, "nothing was decided"

    private_kafka.restart()
    system.await_that(lambda: bool(read_log(system.client, system.keys)), 60, "the alert")
    alert = decode_alert(read_log(system.client, system.keys)[0][1])
    assert (alert.state, alert.at_ms) == (AlertState.FIRING, seen_ms + CART_IDLE_MS)
