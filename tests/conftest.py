"""Fixtures every test may ask for: real Kafka, real Redis, and an installation of its own on them."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from contracts.settings import Settings
from fast_run import FastRun
from ops.stack.broker import KafkaBroker
from ops.stack.child import StartError
from ops.stack.embedded_broker import KAFKA_API, EmbeddedBroker
from ops.stack.kafka_jars import JarsError
from ops.stack.redis_server import RedisServer
from services import install, lack, uninstall, unique_settings

MakeInstallation = Callable[..., Settings]

KAFKA = "TEST_KAFKA_BOOTSTRAP"

# Examples may take as long as a busy machine makes them.
hypothesis_settings.register_profile("untimed", hypothesis_settings(), deadline=None)
hypothesis_settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for a fast run."""
    parser.addoption("--fast", action="store_true", help="only tests that need no services and little time")


def pytest_configure(config: pytest.Config) -> None:
    """Make a fast run one; start one Kafka for all processes of another that has several."""
    if config.getoption("--fast"):
        config.pluginmanager.register(FastRun())
    elif config.getoption("numprocesses", None) and KAFKA not in os.environ:
        _start_shared_kafka(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start modules with slow tests first: at the end one process would run them, and the others wait."""
    slow = {item.getparent(pytest.Module) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.getparent(pytest.Module) not in slow)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command configures would log to its test's captured output, closed by then, in later tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a real Apache Kafka: TEST_KAFKA_BOOTSTRAP, or one started for this session."""
    given = os.environ.get(KAFKA)
    if given:
        yield given
        return
    broker = _started_kafka(tmp_path_factory.mktemp("kafka"))
    yield broker.bootstrap
    broker.kill()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Redis: TEST_REDIS_URL, or one started for this session."""
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        yield given
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(scope="session")
def embedded_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an embedded broker: 4 partitions per topic, api_version (2, 3) for kafka-python."""
    broker = EmbeddedBroker(tmp_path_factory.mktemp("embedded"))
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.fixture
def private_kafka(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A real Apache Kafka of this test alone, to be killed and restarted."""
    broker = _started_kafka(tmp_path / "kafka")
    yield broker
    broker.kill()


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A durable Redis of this test alone, to be killed, restarted and restored."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_installation(kafka_bootstrap: str, redis_url: str) -> Iterator[MakeInstallation]:
    """`make_installation(partitions=3, idle_ms=...)`: settings, with topics until the test ends."""
    made: list[Settings] = []

    def make(**overrides: object) -> Settings:
        made.append(install(unique_settings(kafka_bootstrap, redis_url, **overrides)))
        return made[-1]

    yield make
    for settings in made:
        uninstall(settings)


@pytest.fixture
def installation(make_installation: MakeInstallation, request: pytest.FixtureRequest) -> Settings:
    """An installation on real Kafka and Redis: 12 partitions, or as many as an indirect parameter says."""
    return make_installation(partitions=getattr(request, "param", 12))


@pytest.fixture
def embedded_installation(embedded_bootstrap: str, redis_url: str) -> Iterator[Settings]:
    """An installation on the embedded broker: 4 partitions."""
    settings = install(unique_settings(embedded_bootstrap, redis_url, kafka_api=KAFKA_API), embedded=True)
    yield settings
    uninstall(settings, topics=False)


@pytest.fixture(scope="session")
def shop_data() -> Path:
    """The folder with the public data sets, from STOREPULSE_DATA; docs/data.md says where to get them."""
    folder = Path(os.environ.get("STOREPULSE_DATA") or "no-such-folder")
    if not folder.is_dir():
        pytest.skip("STOREPULSE_DATA names no folder with the public data sets")
    return folder


def _start_shared_kafka(config: pytest.Config) -> None:
    """Start it in the process that starts the others, which inherit its address; if it fails, each tries."""
    folder = tempfile.TemporaryDirectory(prefix="storepulse-tests-kafka-")
    config.add_cleanup(folder.cleanup)
    broker = KafkaBroker(Path(folder.name))
    try:
        broker.start()
    except (StartError, JarsError):
        return
    os.environ[KAFKA] = broker.bootstrap

    def stop() -> None:
        del os.environ[KAFKA]
        broker.kill()

    config.add_cleanup(stop)


def _started_kafka(folder: Path) -> KafkaBroker:
    broker = KafkaBroker(folder)
    try:
        broker.start()
    except (StartError, JarsError) as exc:
        lack(f"no Apache Kafka for this test: {exc}")
    return broker
