"""One worker on real Kafka and Redis for other people's clients."""

import sys
from collections.abc import Iterator

import pytest

from client_shop import Shop
from ops.stack.child import Child
from ops.stack.record import settings_environment
from services import install, uninstall, unique_settings


@pytest.fixture(scope="module")
def shop(kafka_bootstrap: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of 12 partitions."""
    settings = install(unique_settings(kafka_bootstrap, redis_url, partitions=12, scoring=False))
    argv = [sys.executable, "-P", "-m", "ops.cli", "worker"]
    log = tmp_path_factory.mktemp("shop") / "worker.log"
    worker = Child("worker", argv, log, env=settings_environment(settings))
    worker.start()
    yield Shop(settings, worker)
    worker.stop()
    uninstall(settings)
