"""A stock Faust agent that does nothing but count what it is given."""

import os
import tempfile

import faust
from mode import Worker

from benchmarks.contenders.counting import Count
from contracts.settings import Settings
from contracts.topics import Topics


def make_app(settings: Settings, state_folder: str) -> faust.App:
    """An app with one agent on the three event topics, values as raw bytes."""
    app = faust.App(
        settings.group,
        broker=[f"kafka://{server}" for server in settings.bootstrap.split(",")],
        datadir=state_folder,
        value_serializer="raw",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    count = Count(settings)

    async def read(values: faust.Stream[bytes]) -> None:
        async for _ in values:
            count.add(1)

    async def begin(*_: object, **__: object) -> None:
        count.start()

    app.agent(app.topic(*Topics(settings.topic_prefix).events, value_serializer="raw"))(read)
    app.on_partitions_assigned.connect(begin)
    return app


def main() -> None:
    """Run the app until the process is killed."""
    with tempfile.TemporaryDirectory(prefix="stock-faust-") as folder:
        app = make_app(Settings(), folder)
        Worker(app, loglevel=os.environ.get("LOGLEVEL", "WARNING")).execute_from_commandline()


if __name__ == "__main__":
    main()
