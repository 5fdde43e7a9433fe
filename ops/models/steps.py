"""Writes steps in the life of model versions, and says whether they counted."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NamedTuple, Self

from aiokafka import AIOKafkaProducer

from connections.kafka import aiokafka_arguments
from connections.topic_follower import TopicFollower
from contracts.clock import wall_clock_ms
from contracts.model_steps import Author, ModelStep, StepKind, encode_step, new_step_id
from contracts.settings import Settings
from contracts.topics import Topics
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.state import refusal_of

log = logging.getLogger(__name__)

READ_S = 15.0
"""Time to read the topic, or a step that was just written."""


class Refused(ValueError):
    """A step that does not fit, or that another came before; the message says why."""


class Wanted(NamedTuple):
    """A step to be taken."""

    slot: str
    kind: StepKind
    version: str
    author: Author
    reason: str
    figures: Mapping[str, float] = {}


class ModelSteps:
    """Reads the topic of steps and writes to it; an async context manager.

    Raises `KafkaError`, or `TimeoutError` where Kafka does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.lifecycle = Lifecycle()
        self._topic = Topics(settings.topic_prefix).models
        self._follower = TopicFollower(settings, self._topic, self.lifecycle.take)
        self._producer = AIOKafkaProducer(**aiokafka_arguments(settings), acks="all")
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._producer.start()
        self._following = asyncio.create_task(self._follower.run())
        try:
            async with asyncio.timeout(READ_S):
                await self._follower.is_read.wait()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await self._producer.stop()

    async def take(self, wanted: Wanted) -> ModelStep:
        """Take a step; raises `Refused` if it does not fit, or another writer's came before it."""
        slot, kind, version, author, reason, figures = wanted
        number = self.lifecycle.state(slot).number + 1
        step = ModelStep(new_step_id(), slot, number, kind, version, wall_clock_ms(), author, reason, figures)
        if refusal := refusal_of(self.lifecycle.state(slot), step):
            raise Refused(refusal)
        await self._producer.send_and_wait(self._topic, encode_step(step), key=slot.encode())
        async with asyncio.timeout(READ_S):
            while not self.lifecycle.has_seen(step.step_id):
                await asyncio.sleep(0.02)
        if not self.lifecycle.has_taken(step.step_id):
            raise Refused(f"another step of {slot} came first; look at its history and try again")
        log.info("%s: %s %s by the %s: %s", slot, kind, version, author, reason)
        return step


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Lifecycle]:
    """The lives of all versions as they are now; raises `TimeoutError` where Kafka does not answer."""
    lifecycle = Lifecycle()
    follower = TopicFollower(settings, Topics(settings.topic_prefix).models, lifecycle.take)
    following = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(READ_S):
            await follower.is_read.wait()
        yield lifecycle
    finally:
        following.cancel()
        await asyncio.wait([following])
