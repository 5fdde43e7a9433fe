"""A shop on an origin of its own, with a page that loads the snippet from the API."""

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from api_keys import make_page_key
from contracts.settings import Settings
from ops.stack.ports import LOOPBACK

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "shop.html"


class ShopSite:
    """Serves the example page at `/shop.html`, and any page that is put into `pages`."""

    def __init__(self) -> None:
        self.pages = {"/shop.html": EXAMPLE.read_text()}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.origin = f"http://{LOOPBACK}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def put(self, path: str, *, api: str, attributes: str, script: str = "") -> str:
        """A page with the snippet of this API in a plain tag; gives its URL."""
        tag = f'<script defer src="{api}/static/storepulse.js" {attributes}></script>'
        self.pages[path] = f"<!doctype html><title>shop</title><link rel=icon href=data:,>{script}{tag}"
        return self.origin + path

    def make_key(self, settings: Settings, **fields: Any) -> str:
        """A publishable key for the pages of this shop; `fields` are those of `KeyPlan`."""

        async def make() -> str:
            async with Redis.from_url(settings.redis_url) as redis:
                return str(await make_page_key(redis, settings, origins=(self.origin,), **fields))

        return asyncio.run(make())

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
