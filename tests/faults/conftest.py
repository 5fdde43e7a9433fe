"""Sites under load: a Redis and workers of their own, on the Kafka of the session or one of their own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ops.chaos.system import SETTINGS, SystemUnderTest, open_system
from ops.chaos.traffic import Load, Traffic
from ops.stack.broker import KafkaBroker
from services import uninstall, unique_settings
from stub_model import write_model

OpenSystem = Callable[..., SystemUnderTest]
Send = Callable[..., Traffic]


@pytest.fixture
def open_shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[OpenSystem]:
    """`open_shop(workers=1, broker=None, **settings)`: a system, by default on the session's Kafka.

    Its visitors are scored by a stub of a model, so that alerts of both kinds come and go.
    """
    model = tmp_path / "model"
    write_model(model)
    with ExitStack() as stack:

        def make(
            *, workers: int = 1, broker: KafkaBroker | None = None, **overrides: object
        ) -> SystemUnderTest:
            bootstrap = broker.bootstrap if broker else request.getfixturevalue("kafka_bootstrap")
            fields = {**SETTINGS, "model_dir": str(model), **overrides}
            settings = unique_settings(bootstrap, "redis://set.by.site/0", **fields)
            system = stack.enter_context(open_system(settings, tmp_path, workers=workers, broker=broker))
            if broker is None:
                stack.callback(uninstall, system.settings)
            return system

        yield make


@pytest.fixture
def send(request: pytest.FixtureRequest) -> Iterator[Send]:
    """`send(system, **load)`: traffic of 2,000 events/s that has begun to be applied; ends with the test."""
    started: list[Traffic] = []

    def begin(system: SystemUnderTest, **load: float) -> Traffic:
        traffic = Traffic(
            system.settings, Load(**{"events_per_s": 2_000.0, **load}), seed=len(request.node.name)
        )
        started.append(traffic)
        traffic.start()
        system.await_commits(0)
        return traffic

    yield begin
    for traffic in started:
        traffic.halt()
