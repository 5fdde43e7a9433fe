"""Pages of other origins in a real browser: a listed one may send events and read answers, no other may."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


def test_only_the_page_that_the_key_lists_may_send_and_read(
    served: ServedApi, settings: Settings, tmp_path: Path
) -> None:
    with serve_page() as shop, serve_page() as other:

        async def make() -> str:
            async with Redis.from_url(settings.redis_url) as redis:
                return str(await make_page_key(redis, settings, origins=(shop,)))

        key = asyncio.run(make())
        url = f"{served.url}/v1/events?validate=1"
        with Chromium(tmp_path / "profile") as browser:
            browser.open(shop)
            assert send(browser, url, key) == [200, 1]
            assert send(browser, f"{served.url}/v1/live", key) == "blocked"
            browser.open(other)
            assert send(browser, url, key) == "blocked"
