"""One worker on real Kafka and Redis for other people's clients, and these clients."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_shop import Shop, lack_tool, run
from ops.stack.kafka_jars import cache_folder, resolve_jars
from running_worker import running_worker
from services import install, uninstall, unique_settings

SENDERS = Path(__file__).parent / "kafka"


@pytest.fixture(scope="module")
def shop(kafka_bootstrap: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of 12 partitions."""
    settings = install(unique_settings(kafka_bootstrap, redis_url, partitions=12, scoring=False))
    with running_worker(settings, tmp_path_factory.mktemp("shop")) as worker:
        yield Shop(settings, worker)
    uninstall(settings)


@pytest.fixture(scope="session")
def kafkajs() -> Path:
    """The folder of `send.js`, kafkajs and its codecs."""
    lack_tool("node", "npm")
    folder = cache_folder() / "test-kafkajs-2.2.4-codecs"
    if not (folder / "node_modules" / "zstd-codec").is_dir():
        shutil.copytree(SENDERS / "kafkajs", folder, dirs_exist_ok=True)
        run(["npm", "install", "--no-audit", "--no-fund", "--silent"], folder)
    shutil.copy(SENDERS / "kafkajs" / "send.js", folder)
    return folder


@pytest.fixture(scope="session")
def go_senders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs `franz` and `sarama`."""
    lack_tool("go")
    folder = tmp_path_factory.mktemp("go")
    run(["go", "build", "-o", str(folder), "./franz", "./sarama"], SENDERS / "go", timeout_s=600)
    return folder


@pytest.fixture(scope="session")
def java_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The class path of the program `Send`."""
    lack_tool("javac", "mvn")
    classes, jars = tmp_path_factory.mktemp("java"), resolve_jars()
    run(["javac", "-cp", f"{jars}/*", "-d", str(classes), str(SENDERS / "java" / "Send.java")])
    return f"{classes}:{jars}/*"
