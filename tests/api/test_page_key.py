"""Where keys are needed, the live page asks for one, keeps it for the tab, and sends it as a header."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alert_makers import make_alert
from api_keys import ROOT_KEY
from chromium import Chromium
from contracts.clock import wall_clock_ms
from contracts.settings import Settings
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import wait_until
from shop_state import ShopState

CLOSED = {"root_key": ROOT_KEY}


@pytest.fixture
def served(settings: Settings) -> Iterator[ServedApi]:
    served = ServedApi(settings.model_copy(update={"api_port": pick_port()}))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as browser:
        yield browser


def shown(browser: Chromium, element_id: str) -> bool:
    return bool(browser.evaluate(f"document.getElementById('{element_id}').checkVisibility()"))


def enter(browser: Chromium, key: str) -> None:
    browser.evaluate(f"document.getElementById('key').value = '{key}'")
    browser.evaluate("document.querySelector('#key-form button').click()")


@pytest.mark.parametrize("settings", [CLOSED], indirect=True)
def test_the_page_asks_for_a_key_and_shows_the_figures_with_it(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    state.add_shop(1, wall_clock_ms(), {"o": 61})
    state.flush()
    browser.open(served.url)
    wait_until(lambda: browser.text("#updated") == "Locked", 20, "the form")
    assert "Enter a key" in browser.text("#key-form")
    assert [shown(browser, name) for name in ("key-form", "main", "leave", "pause")] == [
        True,
        False,
        False,
        False,
    ]
    assert browser.text("#key-form .reason") == ""

    enter(browser, "sk_live_wrong")
    wait_until(lambda: "not known" in browser.text("#key-form .reason"), 20, "the refusal")
    assert browser.evaluate("sessionStorage.length") == 0

    enter(browser, ROOT_KEY)
    wait_until(lambda: browser.text("#orders") == "61", 20, "the figures")
    assert [shown(browser, name) for name in ("key-form", "main", "leave", "pause")] == [
        False,
        True,
        True,
        True,
    ]
    assert browser.evaluate("document.getElementById('key').value") == ""
    assert browser.evaluate("localStorage.length + document.cookie.length") == 0
    state.publish_alerts([make_alert(0)])
    state.flush()
    wait_until(lambda: "About to leave" in browser.text("#alerts"), 20, "an alert, by a ticket")
    assert [url for url in browser.requests if ROOT_KEY in url] == []

    browser.evaluate("document.getElementById('leave').click()")
    wait_until(lambda: browser.text("#updated") == "Locked", 20, "the form again")


def test_the_page_of_an_open_installation_asks_for_nothing(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    state.add_shop(1, wall_clock_ms(), {"o": 61})
    state.flush()
    browser.open(served.url)
    wait_until(lambda: browser.text("#orders") == "61", 20, "the figures")
    assert [shown(browser, name) for name in ("key-form", "leave")] == [False, False]
