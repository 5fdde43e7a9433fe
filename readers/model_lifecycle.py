"""Which versions of models are at work, as this process reads it from Kafka."""

import asyncio
import contextlib
from pathlib import Path
from typing import TypeVar

from connections.topic_follower import TopicFollower
from contracts.settings import Settings
from contracts.topics import Topics
from models.artefacts.source import ModelSource
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.sources import Versions
from models.lifecycle.store import ModelStore

M = TypeVar("M")

WAIT_S = 5.0
"""Longer than it takes to read the topic; after it what a slot comes with is asked meanwhile."""


class ModelLifecycle:
    """Follows the topic of steps while the process runs."""

    def __init__(self, settings: Settings) -> None:
        self.lifecycle = Lifecycle()
        self._settings = settings
        self._follower = TopicFollower(settings, Topics(settings.topic_prefix).models, self.lifecycle.take)
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read."""
        self._following = asyncio.create_task(self._follower.run())

    async def close(self) -> None:
        """Leave Kafka."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    @property
    def is_read(self) -> bool:
        """Whether all that there was at the start is known."""
        return self._follower.is_read.is_set()

    async def wait(self) -> None:
        """Until the topic was read, or Kafka is found to be away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):  # `wait_for` of Python 3.11 may lose a cancellation
                await self._follower.has_tried.wait()

    def champion(self, slot: str, base: ModelSource[M]) -> ModelSource[M]:
        """The champion of a slot; `base` is what the slot comes with."""
        return Versions(slot, base, self.lifecycle, ModelStore(Path(self._settings.model_store))).champion()
