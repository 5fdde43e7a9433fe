"""The lives of model versions as somebody reads them who is never killed."""

import asyncio
import threading

from connections.topic_follower import TopicFollower
from contracts.model_steps import ModelStep, StepKind
from contracts.settings import Settings
from contracts.topics import Topics
from models.lifecycle.lifecycle import Lifecycle


class Watched:
    """Follows the topic from a thread until it is closed."""

    def __init__(self, settings: Settings) -> None:
        self.lifecycle = Lifecycle()
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def steps(self, slot: str) -> list[ModelStep]:
        """Those of a slot, in order."""
        return [step for step in self.lifecycle.steps if step.slot == slot]

    def kinds(self, slot: str) -> list[StepKind]:
        """What became of its versions."""
        return [step.kind for step in self.steps(slot)]

    def close(self) -> None:
        """Leave Kafka."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        topic = Topics(self._settings.topic_prefix).models
        self._task = self._loop.create_task(TopicFollower(self._settings, topic, self.lifecycle.take).run())
        self._loop.run_until_complete(asyncio.wait([self._task]))
