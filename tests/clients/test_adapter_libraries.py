"""Libraries for Segment and GA4, each with the key meant for it: what they send arrives once."""

import asyncio
import hashlib
import json
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
from chromium import Chromium
from client_shop import lack_tool, run
from contracts.events import Event, EventType
from contracts.settings import Settings
from event_log import read_event_log
from ops.stack.kafka_jars import cache_folder
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import wait_until
from shop_site import ShopSite

SENDERS = Path(__file__).parent / "segment"
GA4_SENDER = Path(__file__).parent / "ga4" / "send.py"
JAVA, PYTHON, GA4MP = "3.5.4", "2.4.0", "2.0.4"
BROWSER_PAGE = """
<script src="/analytics-next.js"></script>
<script>
  const [product, key] = [{ product_id: 'p1', price: 10, quantity: 2 }, KEY]
  AnalyticsNext.AnalyticsBrowser.load({
    writeKey: key,
    cdnSettings: { integrations: { 'Segment.io': { apiKey: key, apiHost: HOST + '/v1', protocol: 'http' } } },
  }).then(async ([analytics]) => {
    await analytics.identify('browser')
    await analytics.track('Product Viewed', product)
    const order = { order_id: 'o-browser', total: 20, currency: 'EUR', products: [product] }
    await analytics.track('Order Completed', order)
    window.sent = true
  })
</script>
"""

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


@pytest.fixture(scope="module")
def javascript() -> Path:
    """The folder of the libraries for JavaScript, and of their senders."""
    lack_tool("node", "npm")
    packages = (SENDERS / "javascript" / "package.json").read_bytes()
    folder = cache_folder() / f"test-segment-javascript-{hashlib.sha256(packages).hexdigest()[:12]}"
    if not folder.is_dir():
        scratch = folder.with_suffix(".installing")
        shutil.copytree(SENDERS / "javascript", scratch, dirs_exist_ok=True)
        # Not React Native itself, which is a peer of the library for it.
        run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--legacy-peer-deps"], scratch)
        scratch.rename(folder)
    shutil.copytree(SENDERS / "javascript", folder, dirs_exist_ok=True)
    return folder


def test_node(api: ServedApi, settings: Settings, javascript: Path) -> None:
    run(["node", "node.js", api.url, new_key(settings, KeyKind.SECRET), "node"], javascript)
    check_arrival(settings, "node")


def test_react_native_as_an_app(api: ServedApi, settings: Settings, javascript: Path) -> None:
    run(["node", "react_native.js", api.url, new_key(settings, KeyKind.APP), "phone"], javascript)
    check_arrival(settings, "phone")


def test_a_browser(api: ServedApi, settings: Settings, javascript: Path, tmp_path: Path) -> None:
    library = javascript / "node_modules" / "@segment" / "analytics-next" / "dist" / "umd" / "index.js"
    shop = ShopSite()
    try:
        shop.pages["/analytics-next.js"] = library.read_text()
        key, host = json.dumps(shop.make_key(settings, may_purchase=True)), api.url.removeprefix("http://")
        shop.pages["/"] = BROWSER_PAGE.replace("KEY", key).replace("HOST", json.dumps(host))
        with Chromium(tmp_path / "profile") as browser:
            browser.open(f"{shop.origin}/")
            wait_until(lambda: bool(browser.evaluate("!!window.sent")), 20, "the page to send its events")
            check_arrival(settings, "browser")
    finally:
        shop.close()


def test_go(api: ServedApi, settings: Settings, tmp_path: Path) -> None:
    lack_tool("go")
    run(["go", "build", "-o", str(tmp_path / "segment"), "."], SENDERS / "go", timeout_s=600)
    run([str(tmp_path / "segment"), api.url, new_key(settings, KeyKind.SECRET), "go"])
    check_arrival(settings, "go")


def install_python(package: str) -> Path:
    """The folder of a package from PyPI."""
    folder = cache_folder() / f"test-{package.replace('==', '-')}"
    if not folder.is_dir():
        scratch = folder.with_suffix(".installing")
        run([sys.executable, "-m", "pip", "install", "-q", "--target", str(scratch), package])
        scratch.rename(folder)
    return folder


def run_python(folder: Path, program: Path, *words: str) -> None:
    """Runs a sender with the packages of this folder."""
    code = f"import runpy, sys; sys.path.insert(0, {str(folder)!r}); runpy.run_path({str(program)!r})"
    run([sys.executable, "-c", code, *words])


def test_python(api: ServedApi, settings: Settings) -> None:
    folder = install_python(f"segment-analytics-python=={PYTHON}")
    run_python(folder, SENDERS / "send.py", api.url, new_key(settings, KeyKind.SECRET), "python")
    check_arrival(settings, "python")


def test_ga4mp_with_its_host_replaced(api: ServedApi, settings: Settings) -> None:
    key = new_key(settings, KeyKind.WRITE)
    run_python(install_python(f"ga4mp=={GA4MP}"), GA4_SENDER, api.url, key, "1847123456.1760000000")
    check_arrival(settings, "1847123456.1760000000")
