"""The worker process: puts the parts together, runs them, and says by its exit code how it ended."""

import asyncio
import logging
import os
import signal
import socket
import threading
import uuid
from typing import Any

from aiokafka.errors import KafkaError

from connections.asyncio_redis import open_worker_redis
from connections.kafka_check import require_kafka
from connections.kafka_rights import Rights
from connections.kafka_troubles import kafka_trouble
from connections.tls import CertificateError
from connections.topic_follower import TopicFollower
from connections.troubles import EXIT_REFUSED, ConnectionRefused, Trouble, causes
from contracts.keys import Keys
from contracts.settings import Settings
from contracts.topics import Topics
from models.lifecycle.lifecycle import Lifecycle
from stream.batch.core import choose_core
from stream.consumer.app import add_agent, make_app
from stream.consumer.batch_app import BatchApp
from stream.consumer.followed_topics import FollowedTopics
from stream.consumer.kafka_log import KafkaLog
from stream.jobs.metrics import JobMeter
from stream.jobs.runner import JobRunner
from stream.jobs.store import RedisJobStore
from stream.jobs.triggers import Triggers
from stream.partitions.assignment import Assignment
from stream.partitions.committer import Committer, Fenced
from stream.partitions.outbox_relay import Relay
from stream.partitions.scheduler import Scheduler
from stream.partitions.watchdog import Stalled, watch
from stream.registry import make_registry
from stream.runtime.gc_tuning import sweep_young, tune_gc
from stream.runtime.heartbeat import beat, say_goodbye
from stream.runtime.metrics import Meter
from stream.runtime.probe import Probe
from stream.runtime.thread_switching import tune_switching
from stream.scoring.slot_steps import SlotSteps
from stream.state.installation import MisfitError, join_installation
from stream.state.outbox import RedisOutboxes
from stream.state.redis_store import RedisStore

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_CRASHED = 1
EXIT_STALLED = 70
EXIT_FENCED = 75
EXIT_MISFIT = 78
DRAIN_S = 10.0
LEAVE_S = 5.0
"""Time to leave the group and close; after twice as long the process ends without."""


def run(settings: Settings) -> int:
    """Run a worker until SIGTERM or SIGINT; the exit code is 0, or says why a supervisor must restart it.

    70: the watchdog found a stalled partition. 75: another worker owns a partition of ours. 78: Redis holds
    the state of another number of partitions, or a service refuses our password, certificate or rights. 1:
    anything else.
    A first signal drains and leaves the group; a second one exits at once.
    """
    import uvloop

    tune_gc()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(_main(settings))
        except (ConnectionRefused, CertificateError) as exc:
            log.error("%s", exc)
            return EXIT_REFUSED


async def _main(settings: Settings) -> int:
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    core = choose_core(compiled=settings.compiled)
    registry = make_registry(settings, core)  # first: it makes topics and keys known
    topics = Topics(settings.topic_prefix)
    keys = Keys(settings.namespace, settings.partitions)
    client = open_worker_redis(settings)
    meter = Meter()
    store = RedisStore(client, keys)
    await store.require_rights()
    writes = (topics.rejected, topics.alerts, *topics.outputs)
    await require_kafka(settings, Rights((*topics.partitioned, topics.models), writes, settings.group))
    try:
        await join_installation(client, keys, meter.redis)
    except MisfitError as exc:
        log.error("%s", exc)
        await client.aclose()
        return EXIT_MISFIT
    outboxes = RedisOutboxes(client, keys, alerts_kept=settings.alerts_kept)
    app = make_app(settings)
    kafka = KafkaLog(app, settings)
    assignment = Assignment(topics, registry, store, kafka, meter)
    lifecycle = Lifecycle()
    steps_of_models = TopicFollower(settings, topics.models, lifecycle.take)
    slots = SlotSteps(settings, registry.slots.values(), meter, lifecycle)
    job_meter = JobMeter(meter.registry)
    triggers = Triggers(registry.jobs, settings.partitions, job_meter)
    committer = Committer(
        settings, registry, store, assignment, meter, slots.drift, core.pack_visitors, triggers.note
    )
    job_runner = JobRunner(
        settings, registry.jobs, RedisJobStore(client, keys), lambda: assignment.partitions, triggers,
        job_meter, meter.outbox_filled,
    )  # fmt: skip
    scheduler = Scheduler(settings, core, registry, committer, slots, assignment, meter)
    app.offsets = assignment
    add_agent(app, settings, scheduler)
    stopping = _stop_on_signals()
    probe = Probe(
        settings.worker_host,
        settings.worker_port,
        meter.registry,
        lambda: not stopping.is_set(),
        meter.redis.describe,
    )
    probe.start()
    log.info(
        "worker %s, steps in %s, metrics on port %d, settings %s",
        worker_id, core.name, probe.port, settings.model_dump(),
    )  # fmt: skip
    parts = {
        "stop": stopping.wait(),
        "faust": _run_app(app),
        "scheduler": scheduler.run(),
        "relay": Relay(settings, outboxes, assignment, meter).run(),
        "followed": FollowedTopics(settings, assignment, scheduler).run(),
        "ends": assignment.watch_ends(),
        "mending": assignment.mend(),
        "watchdog": watch(assignment, settings, meter.redis),
        "heartbeat": beat(client, keys, assignment, meter, slots, worker_id=worker_id, port=probe.port),
        "steps of models": steps_of_models.run(),
        "models": _watch_models(steps_of_models, slots),
        "companions": slots.watch_companions(store, lambda: assignment.partitions),
        "alert use": registry.gate.watch(store, lambda: assignment.partitions),
        "collector": sweep_young(),
        "jobs": job_runner.run(),
        "switching": tune_switching(lambda: scheduler.is_behind),
    }
    try:
        return await _supervise(parts, app, scheduler)
    finally:
        await say_goodbye(client, keys, worker_id)
        await client.aclose()
        await kafka.stop()
        probe.stop()
        slots.close()


async def _supervise(parts: dict[str, Any], app: BatchApp, scheduler: Scheduler) -> int:
    """Run the parts until the first of them ends, then stop in order: drain, leave the group, close."""
    tasks = {asyncio.create_task(part, name=name): name for name, part in parts.items()}
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    code = _exit_code({tasks[task]: task.exception() for task in done})
    if code == EXIT_OK:
        try:
            await asyncio.wait_for(scheduler.drain(), DRAIN_S)
        except (TimeoutError, Fenced) as exc:
            log.warning("not drained; the next owner reads this again: %r", exc)
    _exit_soon(code)
    try:
        await asyncio.wait_for(app.stop(), LEAVE_S)
    except TimeoutError:
        log.warning("did not leave the consumer group within %s s; it will notice by itself", LEAVE_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return code


def _exit_soon(code: int) -> None:
    """Make sure that the process ends: stopping Faust's consumer thread may wait for ever after a pause."""

    def end() -> None:
        log.warning("not closed within %s s, exiting with exit code %d", 2 * LEAVE_S, code)
        os._exit(code)

    timer = threading.Timer(2 * LEAVE_S, end)
    timer.daemon = True
    timer.start()


def _exit_code(ended: dict[str, BaseException | None]) -> int:
    if ended.keys() == {"stop"}:
        log.info("stopping")
        return EXIT_OK
    for name, exc in ended.items():
        trouble = _refusal(exc)
        if trouble is not None:
            log.error("%s ended the worker: %s", name, trouble)
            return EXIT_REFUSED
        if exc is not None:
            log.error("%s ended the worker: %r", name, exc, exc_info=exc)
        if isinstance(exc, Stalled):
            return EXIT_STALLED
        if isinstance(exc, Fenced):
            return EXIT_FENCED
    return EXIT_CRASHED


def _refusal(exc: BaseException | None) -> Trouble | None:
    """What Kafka refuses us for, if that is why a part ended."""
    for one in () if exc is None else causes(exc):
        if isinstance(one, KafkaError) and (trouble := kafka_trouble(one)).is_refusal:
            return trouble
    return None


async def _watch_models(steps: TopicFollower, slots: SlotSteps) -> None:
    """Take up models once the champions are known: a worker begins with the same ones as all others."""
    await steps.is_read.wait()
    await slots.watch()


async def _run_app(app: BatchApp) -> None:
    """Start Faust and wait for its end; raises what crashed it."""
    app.finalize()
    await app.start()
    await app.wait_until_stopped()
    raise app.crash_reason or RuntimeError("Faust stopped by itself")


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopping
