"""The same job on quixstreams: state per visitor in its RocksDB store, and a batching sink to Redis."""

import os
import tempfile
from typing import Any

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch
from quixstreams.state import State

from benchmarks.contenders.session_job import Fields, RedisWriter, Step, advance
from contracts.settings import Settings
from contracts.topics import Topics

COMMIT_EVERY = 5_000
"""Events per checkpoint, and with it per MULTI: about what our worker commits in one round under load."""


class RedisSink(BatchingSink):
    """Writes what one checkpoint has of each topic partition."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._writer = RedisWriter(settings)
        self._started = False

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Keep one processed event until the checkpoint; the first one shows that reading begins."""
        if not self._started:
            self._started = True
            self._writer.start()
        super().add(*args, **kwargs)

    def write(self, batch: SinkBatch) -> None:
        """One MULTI per topic partition, as quixstreams hands them on."""
        self._writer.write([Step(batch.topic, batch.partition, item.offset, *item.value) for item in batch])


def main(settings: Settings, state_dir: str) -> None:
    """Run until the process is killed."""
    app = Application(
        broker_address=settings.bootstrap,
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,  # its state is in Redis as well; without the changelog it is faster
        commit_every=COMMIT_EVERY,
        commit_interval=float(os.environ.get("BENCH_COMMIT_S", "1")),
        state_dir=state_dir,
        loglevel="WARNING",
    )
    idle_ms = settings.idle_ms

    def step(event: Fields, state: State[Any, Any]) -> tuple[Fields, Fields]:
        after = advance(state.get("session"), event, idle_ms)
        state.set("session", after)
        return event, after

    first, *others = [
        app.dataframe(app.topic(name, value_deserializer="json"))
        for name in Topics(settings.topic_prefix).events
    ]
    for other in others:
        first = first.concat(other)
    first.apply(step, stateful=True).sink(RedisSink(settings))
    app.run()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="quixstreams-") as folder:
        main(Settings(), folder)
