"""Pages of other origins in a real browser: a listed one may send events and read answers, no other may."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from api_keys import make_page_key
from chromium import Chromium
from contracts.settings import Settings
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import wait_until
from shop_state import ShopState

CART = {"event_type": "cart", "user_id": "you", "product_id": "p00054"}


class EmptyPage(BaseHTTPRequestHandler):
    """A page with nothing in it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>shop</title>")

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


@contextmanager
def serve_page() -> Iterator[str]:
    """The origin of an empty page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def served(settings: Settings, state: ShopState) -> Iterator[ServedApi]:
    state.flush()
    served = ServedApi(settings.model_copy(update={"api_port": pick_port()}))
    served.start()
    yield served
    served.stop()


def make_key_for(settings: Settings, origin: str) -> str:
    """A publishable key for the pages of an origin."""

    async def make() -> str:
        async with Redis.from_url(settings.redis_url) as redis:
            return str(await make_page_key(redis, settings, origins=(origin,)))

    return asyncio.run(make())


def send(browser: Chromium, url: str, key: str) -> Any:
    """Status and number of accepted events as the page sees them; `blocked` if it may not."""
    options = {
        "method": "POST",
        "headers": {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        "body": json.dumps(CART),
    }
    return browser.evaluate(
        f"fetch({json.dumps(url)}, {json.dumps(options)})"
        ".then(async (answer) => [answer.status, (await answer.json()).accepted], () => 'blocked')"
    )


BEACONS = {
    "/v1/events?validate=1": lambda key: {"batch": [CART], "key": key},
    "/v1/t": lambda key: {"event": "Signed Up", "userId": "u", "writeKey": key},
    "/v1/b/": lambda key: {"batch": [{"type": "page", "userId": "u"}], "writeKey": key},
    "/v1/m": lambda _: {"series": []},
    "/mp/collect?api_secret=KEY": lambda _: {"client_id": "c", "events": []},
}


def has_answered(browser: Chromium, count: int) -> bool:
    """Whether so many beacons of the page have been answered."""
    answered = browser.evaluate(
        "performance.getEntriesByType('resource')"
        ".filter(({initiatorType, responseEnd}) => initiatorType == 'beacon' && responseEnd).length"
    )
    return bool(answered == count)


def test_a_beacon_of_a_page_that_stays_open_leaves_nothing_in_its_console(
    served: ServedApi, settings: Settings, tmp_path: Path
) -> None:
    with serve_page() as shop:
        key = make_key_for(settings, shop)
        with Chromium(tmp_path / "profile") as browser:
            browser.open(shop)
            for n, (path, make_body) in enumerate(BEACONS.items(), 1):
                url = served.url + path.replace("KEY", key)
                beacon = f"{json.dumps(url)}, {json.dumps(json.dumps(make_body(key)))}"
                assert browser.evaluate(f"navigator.sendBeacon({beacon})") is True
                wait_until(partial(has_answered, browser, n), 20, f"the answer of {path}")
            assert send(browser, f"{served.url}/v1/events?validate=1", key) == [200, 1]
            assert browser.errors == []


def test_only_the_page_that_the_key_lists_may_send_and_read(
    served: ServedApi, settings: Settings, tmp_path: Path
) -> None:
    with serve_page() as shop, serve_page() as other:
        key = make_key_for(settings, shop)
        url = f"{served.url}/v1/events?validate=1"
        with Chromium(tmp_path / "profile") as browser:
            browser.open(shop)
            assert send(browser, url, key) == [200, 1]
            assert send(browser, f"{served.url}/v1/live", key) == "blocked"
            browser.open(other)
            assert send(browser, url, key) == "blocked"
