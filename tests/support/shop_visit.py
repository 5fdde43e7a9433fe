"""A visit of a browser to a shop whose pages have the snippet, and what arrives of it."""

from typing import Any

from chromium import Chromium
from contracts.events import Event
from contracts.settings import Settings
from event_log import read_event_log
from served_api import ServedApi
from services import wait_until
from shop_site import ShopSite


class Visit:
    """A browser on pages of a shop, and what arrives of it in Kafka."""

    def __init__(self, browser: Chromium, shop: ShopSite, api: ServedApi, settings: Settings) -> None:
        self.browser = browser
        self.shop = shop
        self.api = api
        self._settings = settings
        self.key = shop.make_key(settings, may_purchase=True)

    def open(self, *, attributes: str = "", path: str = "/", key: str | None = None) -> None:
        """Goes to a page with the snippet in a plain tag."""
        attributes = f'data-key="{key or self.key}" {attributes}'
        self.browser.open(self.shop.put(path, api=self.api.url, attributes=attributes))
        wait_until(lambda: bool(self.run("!!window.storepulse")), 20, "the snippet")

    def before_each_page(self, script: str) -> None:
        self.browser.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def run(self, script: str) -> Any:
        return self.browser.evaluate(script)

    def sends(self) -> int:
        """How many requests with events there were."""
        return len([url for url in self.browser.requests if url == f"{self.api.url}/v1/events"])

    def arrived(self) -> dict[str, Event]:
        """Events in Kafka by id."""
        return {event.event_id: event for event in read_event_log(self._settings)}

    def await_events(self, number: int) -> list[Event]:
        wait_until(lambda: len(self.arrived()) >= number, 30, f"{number} events")
        events = list(self.arrived().values())
        assert len(events) == number
        return events

    def await_empty_queue(self) -> None:
        wait_until(lambda: self.run("localStorage['sp.q']") in (None, "[]"), 30, "the queue to be empty")

    def kept(self) -> set[str]:
        """Names of what the browser keeps."""
        return set(self.run("Object.keys(localStorage)"))
