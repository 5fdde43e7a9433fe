"""One worker on real Kafka and Redis for other people's clients."""

from collections.abc import Iterator

import pytest

from client_shop import Shop
from running_worker import running_worker
from services import install, uninstall, unique_settings


@pytest.fixture(scope="module")
def shop(kafka_bootstrap: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of 12 partitions."""
    settings = install(unique_settings(kafka_bootstrap, redis_url, partitions=12, scoring=False))
    with running_worker(settings, tmp_path_factory.mktemp("shop")) as worker:
        yield Shop(settings, worker)
    uninstall(settings)
