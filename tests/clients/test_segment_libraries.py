"""Segment's own libraries, each with the key its users would make for it: what they send arrives once."""

import asyncio
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from api.identity.key_store import KeyPlan
from api.identity.key_text import KeyKind
from api_keys import make_key
from client_shop import lack_tool, run
from contracts.events import Event, EventType
from contracts.settings import Settings
from event_log import read_event_log
from ops.stack.kafka_jars import cache_folder
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import wait_until

SENDERS = Path(__file__).parent / "segment"
JAVA, PYTHON = "3.5.4", "2.4.0"

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(make_installation: Callable[..., Settings]) -> Settings:
    return make_installation(partitions=2, api_port=pick_port())


@pytest.fixture
def api(settings: Settings) -> Iterator[ServedApi]:
    served = ServedApi(settings)
    served.start()
    yield served
    served.stop()


def new_key(settings: Settings, kind: KeyKind) -> str:
    """A key of this kind, whose purchases count."""

    async def make() -> str:
        async with Redis.from_url(settings.redis_url) as redis:
            return str(await make_key(redis, settings, KeyPlan("a library", kind=kind)))

    return asyncio.run(make())


def check_arrival(settings: Settings, user: str) -> None:
    """Waits for the view and the order of this visitor, and sees that there is nothing else but logins."""

    def arrived() -> list[Event]:
        return [
            event
            for event in read_event_log(settings)
            if event.event_type in (EventType.VIEW, EventType.PURCHASE)
        ]

    wait_until(lambda: len(arrived()) >= 2, 60, f"the events of {user}")
    view, purchase = arrived()
    assert (view.event_type, view.product_id) == (EventType.VIEW, "p1")
    assert (purchase.event_type, purchase.order_id) == (EventType.PURCHASE, f"o-{user}")
    assert (purchase.price_minor, purchase.quantity, purchase.currency) == (1_000, 2, "EUR")


@pytest.fixture(scope="module")
def jars() -> Path:
    """The folder of the libraries for Java and Kotlin, and of what they need."""
    lack_tool("mvn", "javac")
    folder = cache_folder() / f"test-segment-{JAVA}"
    if not folder.is_dir():
        scratch = folder.with_suffix(".resolving")
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={scratch}"]
        run(["mvn", "-q", "-B", "-f", str(SENDERS / "java" / "pom.xml"), *goal])
        scratch.rename(folder)
    return folder


def run_java(jars: Path, folder: Path, name: str, *words: str) -> None:
    """Runs a sender, which keeps what it has not sent yet in the folder."""
    program = str(SENDERS / "java" / f"{name}.java")
    run(["java", f"-Djava.io.tmpdir={folder}", "-cp", f"{jars}/*", program, *words])


def test_java_with_its_key_in_the_body(
    api: ServedApi, settings: Settings, jars: Path, tmp_path: Path
) -> None:
    key = new_key(settings, KeyKind.WRITE)
    assert httpx.get(f"{api.url}/v1/live").status_code == 401
    run_java(jars, tmp_path, "SendJava", api.url, key, "java")
    check_arrival(settings, "java")


def test_kotlin_as_an_app(api: ServedApi, settings: Settings, jars: Path, tmp_path: Path) -> None:
    key = new_key(settings, KeyKind.APP)
    run_java(jars, tmp_path, "SendKotlin", api.url.removeprefix("http://"), key, "kotlin")
    check_arrival(settings, "kotlin")


def test_node(api: ServedApi, settings: Settings) -> None:
    lack_tool("node", "npm")
    folder = cache_folder() / "test-segment-node-3.1.0"
    if not (folder / "node_modules" / "@segment").is_dir():
        shutil.copytree(SENDERS / "node", folder, dirs_exist_ok=True)
        run(["npm", "install", "--no-audit", "--no-fund", "--silent"], folder)
    shutil.copy(SENDERS / "node" / "send.js", folder)
    run(["node", "send.js", api.url, new_key(settings, KeyKind.SECRET), "node"], folder)
    check_arrival(settings, "node")


def test_go(api: ServedApi, settings: Settings, tmp_path: Path) -> None:
    lack_tool("go")
    run(["go", "build", "-o", str(tmp_path / "segment"), "."], SENDERS / "go", timeout_s=600)
    run([str(tmp_path / "segment"), api.url, new_key(settings, KeyKind.SECRET), "go"])
    check_arrival(settings, "go")


def test_python(api: ServedApi, settings: Settings) -> None:
    folder = cache_folder() / f"test-segment-python-{PYTHON}"
    if not folder.is_dir():
        package = f"segment-analytics-python=={PYTHON}"
        scratch = folder.with_suffix(".installing")
        run([sys.executable, "-m", "pip", "install", "-q", "--target", str(scratch), package])
        scratch.rename(folder)
    program = str(SENDERS / "send.py")
    send = f"import runpy, sys; sys.path.insert(0, {str(folder)!r}); runpy.run_path({program!r})"
    run([sys.executable, "-c", send, api.url, new_key(settings, KeyKind.SECRET), "python"])
    check_arrival(settings, "python")
