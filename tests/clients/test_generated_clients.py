"""Clients that generators make of the OpenAPI document compile, and call ten routes and more of an API."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from api_processes import ApiProgram
from client_generators import (
    OPENAPI_PYTHON_CLIENT,
    PYTHON_CLIENT_NEEDS,
    check_types,
    generator_jar,
    java_libraries,
    need,
    python_of,
    run,
    typescript,
)
from connections.kafka import kafka_python_arguments
from contracts.events import EventType
from contracts.settings import Settings
from contracts.topics import Topics
from known_shop import beating, fill
from services import install, uninstall, unique_settings
from shop_state import ShopState

pytestmark = pytest.mark.slow

KEY = "clients-" + "k" * 40
HERE = Path(__file__).parent
CONFIG = HERE.parents[1] / "docs" / "examples" / "openapi-python-client.yml"
GENERATORS = ("7.16.0", "7.25.0")
RECEIVER = "http://127.0.0.1:9999/alerts"
EXPECTED = {
    "post_events": "1",
    "post_batch": "2",
    "post_whole_order": "1",
    "post_refund": "1",
    "get_live": "1",
    "get_trending": None,
    "get_models": None,
    "predict_next_action": "2",
    "get_alerts": "2",
    "get_alert": "1",
    "get_user": "visitor-17",
    "get_user_next_action": "m-1",
    "get_demand": None,
    "create_webhook": "5000",
    "list_webhooks": "true",
    "delete_webhook": "done",
}
"""What the programs print by the name of the route; None: any number."""
WHOLE_ORDER = {"purchase": "30.00", "refund": "12.50"}


@pytest.fixture(scope="module")
def installed(kafka_bootstrap: str, redis_url: str) -> Iterator[Settings]:
    """An installation on real Kafka and Redis."""
    settings = install(
        unique_settings(
            kafka_bootstrap, redis_url, partitions=4, webhook_allow_private=True, webhook_ports="9999"
        )
    )
    yield settings
    uninstall(settings)


@pytest.fixture(scope="module")
def served(installed: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an API that needs a key, as a program of its own."""
    settings = installed
    state = ShopState(settings)
    fill(state)
    folder = tmp_path_factory.mktemp("api")
    with beating(state), ApiProgram(settings, folder, env={"STOREPULSE_ROOT_KEY": KEY}) as program:
        yield program.url
    state.close()


@pytest.fixture
def document(served: str, tmp_path: Path) -> Path:
    """The document as the API sends it."""
    path = tmp_path / "openapi.json"
    path.write_bytes(httpx.get(f"{served}/openapi.json").content)
    return path


def environment(url: str) -> dict[str, str]:
    """What the programs are told."""
    return {"API_URL": url, "API_KEY": KEY, "RECEIVER_URL": RECEIVER}


def check(output: str, **more: str) -> None:
    """What a program printed is what the routes answer."""
    told = dict(line.split(" ", 1) for line in output.splitlines())
    expected = EXPECTED | more
    assert told.keys() == expected.keys()
    for name, value in expected.items():
        assert told[name].isdecimal() if value is None else told[name].lower() == value, (name, told[name])


def check_orders(settings: Settings, order_id: str) -> None:
    """What a program sent of an order without lines is what came into Kafka, its refund too."""
    consumer = KafkaConsumer(**kafka_python_arguments(settings), metrics_enabled=False)
    topic = Topics(settings.topic_prefix).of(EventType.PURCHASE)
    places = [TopicPartition(topic, p) for p in range(settings.partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    n_records = sum(consumer.end_offsets(places).values())
    records = [orjson.loads(next(consumer).value) for _ in range(n_records)]
    consumer.close()
    found = [record for record in records if record.get("order_id") == order_id]
    assert {record["event_type"]: record["price"] for record in found} == WHOLE_ORDER
    assert all("product_id" not in record for record in found)


def generate(version: str, language: str, document: Path, folder: Path, *more: str) -> None:
    """A client by openapi-generator, without a warning about a schema that has no name."""
    jar = generator_jar(version)
    options: list[str | Path] = ["-g", language, "-i", document, "-o", folder, *more]
    output = run(["java", "-jar", jar, "generate", *options], timeout_s=120)
    assert "Inline schema created" not in output


@pytest.mark.parametrize("version", GENERATORS)
def test_typescript(version: str, served: str, document: Path, installed: Settings, tmp_path: Path) -> None:
    compiler = typescript()
    generate(version, "typescript-fetch", document, tmp_path / "client")
    shutil.copy(HERE / "calls.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "commonjs"}')
    options = ["--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom"]
    run(["node", compiler, *options, "--outDir", "built", "calls.ts"], cwd=tmp_path)
    check(run(["node", "built/calls.js"], cwd=tmp_path, env=environment(served)))
    check_orders(installed, "whole-typescript")


@pytest.mark.parametrize("version", GENERATORS)
def test_python(version: str, served: str, document: Path, installed: Settings, tmp_path: Path) -> None:
    generate(version, "python", document, tmp_path / "client")
    python = python_of("openapi-generator", PYTHON_CLIENT_NEEDS)
    package = tmp_path / "client" / "openapi_client"
    check_types(python, "--ignore-missing-imports", package, cwd=tmp_path)
    env = environment(served) | {"PYTHONPATH": str(package.parent)}
    check(run([python, HERE / "calls_openapi_generator.py"], env=env))
    check_orders(installed, "whole-python")


def test_java(served: str, document: Path, installed: Settings, tmp_path: Path) -> None:
    version = GENERATORS[-1]
    need("javac")
    client = tmp_path / "client"
    generate(version, "java", document, client, "--library", "native")
    libraries = java_libraries(version, client / "pom.xml")
    sources = sorted((client / "src" / "main" / "java").rglob("*.java"))
    path = f"{libraries}/*"
    run(["javac", "-nowarn", "-d", tmp_path / "built", "-cp", path, *sources, HERE / "Calls.java"])
    check(run(["java", "-cp", f"{tmp_path / 'built'}:{path}", "Calls"], env=environment(served)))
    check_orders(installed, "whole-java")


def test_openapi_python_client(served: str, document: Path, installed: Settings, tmp_path: Path) -> None:
    packages = (f"openapi-python-client=={OPENAPI_PYTHON_CLIENT}", *PYTHON_CLIENT_NEEDS)
    python = python_of("openapi-python-client", packages)
    client = tmp_path / "storepulse_client"
    options: list[str | Path] = [
        "--path",
        document,
        "--output-path",
        client,
        "--meta",
        "none",
        "--config",
        CONFIG,
    ]
    path = f"{python.parent}:{os.environ['PATH']}"  # where its ruff is
    run(
        [python, "-m", "openapi_python_client", "generate", *options, "--fail-on-warning"], env={"PATH": path}
    )
    calls = shutil.copy(HERE / "calls_openapi_python_client.py", tmp_path / "calls.py")
    check_types(python, "--strict", client, calls, cwd=tmp_path)
    check(run([python, calls], env=environment(served)), post_lines="202")
    check_orders(installed, "whole-openapi-python-client")
