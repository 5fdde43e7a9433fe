"""Faust app: one agent on all input topics that hands what the batch consumer carries to the scheduler."""

from typing import Any

import faust
from mode import CrashingSupervisor

from connections.kafka import faust_arguments
from contracts.settings import Settings
from contracts.topics import Topics
from stream.consumer.assignor import InstallationAssignor
from stream.consumer.batch_app import BatchApp
from stream.consumer.batch_consumer import BatchConsumer, Delivery
from stream.partitions.scheduler import Scheduler


def make_app(settings: Settings) -> BatchApp:
    """The app without its agent."""
    app = BatchApp(
        settings.group,
        **faust_arguments(settings),
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_allow_declare=False,  # `storepulse` creates topics, with equal partition counts
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=1 << 20,
        broker_max_poll_records=5_000,
        broker_commit_interval=1.0,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 3),
        broker_request_timeout=max(40.0, settings.session_timeout_s + 10),
        broker_rebalance_timeout=30.0,
        broker_max_poll_interval=300.0,
        stream_buffer_maxsize=64,  # deliveries, not records; the batch consumer itself holds back at fewer
        stream_wait_empty=True,
        # With no standby replicas Faust gives partition p of the three topics to different workers; with one
        # its own assignor keeps them together, and `replicas = 0` lets a new worker get partitions at all.
        table_standby_replicas=1,
        PartitionAssignor=InstallationAssignor,
    )
    app.assignor.replicas = 0
    app.assignor.partitions = settings.partitions
    return app


def add_agent(app: BatchApp, settings: Settings, scheduler: Scheduler) -> Any:
    """Subscribe the app to the topics of events and deletions; returns Faust's agent."""
    topics = Topics(settings.topic_prefix)
    channel = app.topic(*topics.subscribed, key_serializer="raw", value_serializer="raw")

    async def collect(stream: faust.Stream[Delivery]) -> None:
        """Hand every run of records to the scheduler; waits while the scheduler has too much."""
        async for event in stream.events():
            consumer: BatchConsumer = app.consumer
            for run in consumer.collect(event.value):
                await scheduler.offer(
                    run.tp.topic, run.tp.partition, run.records, run.asked, run.end, run.high
                )

    return app.agent(channel, name="collect", concurrency=1, supervisor_strategy=CrashingSupervisor)(collect)
