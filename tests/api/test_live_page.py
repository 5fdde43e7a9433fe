"""The live page in a real browser shows what the API says, asks nobody else, and can be paused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from alert_makers import make_alert, make_expired
from chromium import Chromium
from contracts.alerts import CART_ABANDONED, CHURN_RISK, AlertState, Severity
from contracts.clock import wall_clock_ms
from contracts.events import EventType
from contracts.partitioning import partition_of
from contracts.sessions import StoredSession
from contracts.settings import Settings
from contracts.topics import Topics
from exposure_counts import count_shown
from models.exposures import ExposureMetric
from models.quality import Quality, of_kind
from models.uplift import Arm, arm_counter
from ops.stack.ports import pick_port
from ops.stack.redis_server import RedisServer
from served_api import ServedApi
from services import unique_settings, wait_until
from shop_state import ShopState, make_event
from visitor_makers import VIEW, make_visitor

HOSTILE_ID = '<img src=x onerror="document.title=1">'
KEEPS_NOTHING = {"durable": False}


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


def fill(state: ShopState) -> None:
    now = wall_clock_ms()
    state.add_events(
        make_event(EventType.VIEW, now - i * 1_000, user_id=f"u{i}", product_id=f"product-{i % 3}")
        for i in range(60)
    )
    state.add_events([make_event(EventType.FAVORITE, now, product_id=HOSTILE_ID)] * 40)
    state.add_shop(
        1, now, {"s": 1_200, "sv": 1_100, "sc": 300, "sp": 60, "ca": 90, "o": 61, "m.EUR": 1_234_567}
    )
    state.beat(events_per_s=51.3)
    state.flush()


@pytest.mark.parametrize("settings", [KEEPS_NOTHING], indirect=True)
def test_the_page_shows_the_numbers_of_the_api_and_asks_nobody_else(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    browser.open(served.url)
    wait_until(lambda: browser.text("#orders") == "61", 20, "the first numbers")
    live = httpx.get(f"{served.url}/v1/live").json()
    assert browser.text("#active") == str(live["active_visitors"])
    assert browser.text("#revenue") == "€12,346"
    assert browser.text("#speed") == "51.3"
    assert browser.text("#delay") == "12 ms"
    assert browser.text("#carts") == "300"
    assert browser.text("#carts-sub") == "90 abandoned"
    funnel = " ".join(browser.text("#funnel").split())
    assert funnel == "Started 1,200 Viewed a product 1,100 91.7% Added to cart 300 25% Bought 60 5%"
    names = browser.evaluate("[...document.querySelectorAll('#trending .name')].map((n) => n.textContent)")
    products = httpx.get(f"{served.url}/v1/trending").json()["products"]
    assert names == [product["product_id"] for product in products]
    assert names[0] == HOSTILE_ID
    assert browser.evaluate("document.querySelectorAll('#chart rect.view').length") >= 1
    assert "nothing is stored" in browser.text("#forgets")
    assert browser.text("#updated").startswith("Updated ")
    assert browser.text("#mode") == "Live"
    assert browser.errors == []
    own = [url for url in browser.requests if url != "about:blank"]
    assert len(own) >= 7
    assert [url for url in own if not url.startswith(f"{served.url}/")] == []


def test_the_page_draws_new_events_without_a_reload(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    browser.open(served.url)
    wait_until(lambda: browser.text("#orders") == "61", 20, "the first numbers")
    state.add_shop(0, wall_clock_ms(), {"o": 5})
    state.flush()
    wait_until(lambda: browser.text("#orders") == "66", 20, "the new orders")


def rows(browser: Chromium) -> list[str]:
    """The alerts of the page, top first: severity, words, visitor, cart, outcome, reason; no ages."""
    script = "[...document.querySelectorAll('#alerts li')].map((row) => {"
    script += " row = row.cloneNode(true); row.querySelector('time').remove();"
    script += " return [...row.querySelectorAll('span, b, .why')].map((n) => n.textContent).join('|'); })"
    return list(browser.evaluate(script))


def test_the_page_shows_the_newest_alerts_and_what_became_of_them(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    state.publish_alerts(make_alert(i) for i in range(12))
    state.publish_alerts([make_alert(12, user_id=HOSTILE_ID, cart_value_minor=None, currency=None)])
    state.flush()
    browser.open(served.url)
    wait_until(lambda: len(rows(browser)) == 10, 20, "the newest ten")
    why = "no action for 3 minutes"
    assert rows(browser)[0] == f"high|About to leave|{HOSTILE_ID}|2 in the cart|{why}"
    assert rows(browser)[9] == f"high|About to leave|u3|€59.90|{why}"
    state.publish_alerts([make_expired(make_alert(3)), make_alert(13, kind=CART_ABANDONED)])
    state.publish_alerts([make_alert(11, state=AlertState.RESOLVED, reasons=(), offer=None)])
    state.flush()
    wait_until(lambda: "Abandoned a cart|u13" in rows(browser)[0], 20, "the new alert")
    wait_until(lambda: "bought after all" in rows(browser)[2], 20, "the end of an alert")
    assert len(rows(browser)) == 10
    assert "u3|" not in "".join(rows(browser))
    assert browser.evaluate("document.getElementById('alerts').getAttribute('aria-live')") == "polite"
    assert browser.errors == []


def test_the_list_of_alerts_can_be_limited_by_severity(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    state.publish_alerts([make_alert(1, severity=Severity.LOW), make_alert(2, severity=Severity.MEDIUM)])
    state.flush()
    browser.open(served.url)
    wait_until(lambda: len(rows(browser)) == 2, 20, "both alerts")
    choose = (
        "const s = document.getElementById('severity'); s.value = '{}'; s.dispatchEvent(new Event('change'))"
    )
    browser.evaluate(f"(() => {{ {choose.format('medium')} }})()")
    wait_until(lambda: len(rows(browser)) == 1, 20, "the medium one")
    assert "|u2|" in rows(browser)[0]
    state.publish_alerts([make_alert(3, severity=Severity.LOW), make_alert(4, severity=Severity.HIGH)])
    state.flush()
    wait_until(lambda: len(rows(browser)) == 2, 20, "the high one")
    assert "|u4|" in rows(browser)[0]
    browser.evaluate(f"(() => {{ {choose.format('low')} }})()")
    wait_until(lambda: len(rows(browser)) == 4, 20, "all of them")
    assert [row.split("|")[2] for row in rows(browser)] == ["u4", "u3", "u2", "u1"]
    browser.evaluate(f"(() => {{ {choose.format('medium')} }})()")
    wait_until(lambda: len(rows(browser)) == 2, 20, "the two again")
    browser.open(served.url)
    wait_until(lambda: len(rows(browser)) == 2, 20, "the choice after a reload")
    assert browser.errors == []


@pytest.mark.parametrize("settings", [{"alert_hold_out": 0.2}], indirect=True)
def test_the_page_shows_what_alerts_and_recommendations_bring_and_what_is_held_back(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    now = wall_clock_ms()
    for arm, n, bought in ((Arm.TOLD, 800, 144), (Arm.HELD_OUT, 200, 20)):
        counts = {Quality.WATCHED: n, Quality.WATCHED_BOUGHT: bought, Quality.WATCHED_REVENUE: bought * 5_000}
        state.add_quality(
            0,
            now,
            {f"{arm_counter(name, CART_ABANDONED, arm)}:m-1": number for name, number in counts.items()},
        )
    state.add_exposures(0, now, count_shown("main", 800, 144, 5_000, **{ExposureMetric.CLICKS: 200}))
    state.add_exposures(0, now, count_shown("held_out", 200, 20, 5_000))
    state.add_quality(0, now, {f"{of_kind(Quality.WITHHELD, CHURN_RISK)}.unproven:m-1": 41})
    state.flush()
    browser.open(served.url)
    wait_until(lambda: "Abandoned a cart" in browser.text("#experiments"), 20, "the comparison")
    shown = " ".join(browser.text("#experiments").split())
    assert "more buy: +8 points" in shown
    assert "Told: 18% of 800 bought; held out: 10% of 200 bought." in shown
    assert "No visitor is held out" not in shown
    assert "Not enough data yet: 0 of at least 30 alerts" in shown  # of churn_risk
    assert "Recommendations “for you”, arm main more buy: +8 points" in shown
    groups = "Visitors: 18% of 800 bought; held out: 10% of 200 bought."
    assert f"200 products clicked in 1,600 answers. {groups} Revenue per visitor" in shown
    assert "arm held_out" not in shown
    wait_until(lambda: "held back in the last hour: 41" in browser.text("#alerts-held"), 20, "the note")
    assert browser.errors == []


def test_without_a_hold_out_the_page_compares_nothing(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    browser.open(served.url)
    asked = "performance.getEntriesByName(location.origin + '/v1/experiments').some((e) => e.responseEnd > 0)"
    wait_until(lambda: browser.evaluate(asked), 20, "the answer about experiments")
    assert browser.evaluate("document.getElementById('experiments-card').hidden") is True


def test_pause_stops_asking_and_resume_goes_on(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    browser.open(served.url)
    wait_until(lambda: browser.text("#orders") == "61", 20, "the first numbers")
    browser.evaluate("document.getElementById('pause').click()")
    wait_until(lambda: browser.text("#updated").startswith("Paused"), 5, "the pause")
    asked = len(browser.requests)
    browser.evaluate("new Promise((done) => setTimeout(done, 2200))")
    assert len(browser.requests) <= asked + 2  # what was under way when the button was pressed
    assert browser.evaluate("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    state.add_shop(0, wall_clock_ms(), {"o": 1})
    state.flush()
    browser.evaluate("document.getElementById('pause').click()")
    wait_until(lambda: browser.text("#orders") == "62", 20, "the numbers after the pause")


def test_the_page_says_when_no_worker_runs_and_when_the_api_is_gone(
    served: ServedApi, browser: Chromium
) -> None:
    browser.open(served.url)
    wait_until(lambda: "No worker is running" in browser.text("#trouble"), 20, "the missing worker")
    assert "No events in the last 30 minutes" in browser.text("#chart")
    assert browser.text("#revenue") == "0"
    assert browser.errors == []
    served.stop()
    wait_until(lambda: "API does not answer" in browser.text("#trouble"), 30, "the missing API")


def test_the_page_tells_a_redis_that_is_away_from_an_api_that_is(
    browser: Chromium, private_redis: RedisServer
) -> None:
    fields = {"partitions": 4, "api_port": pick_port()}
    served = ServedApi(unique_settings("127.0.0.1:1", private_redis.url, **fields))
    served.start()
    try:
        browser.open(served.url)
        wait_until(lambda: browser.text("#active") == "0", 20, "the first numbers")
        private_redis.kill()
        wait_until(lambda: "but Redis is not available" in browser.text("#trouble"), 30, "the missing Redis")
        assert "API does not answer" not in browser.text("#trouble")
        private_redis.restart()
        wait_until(lambda: "Redis" not in browser.text("#trouble"), 30, "its return")
    finally:
        served.stop()


def test_the_page_says_how_far_a_replay_of_history_is(make_installation: Any, browser: Chromium) -> None:
    settings = make_installation(partitions=3)
    state, at_ms = ShopState(settings), 1_760_000_000_000
    served = ServedApi(settings.model_copy(update={"api_port": pick_port()}))
    served.start()
    try:
        event = {"event_type": "cart", "user_id": "you", "product_id": "p1"}
        assert httpx.post(f"{served.url}/v1/events", json=event).status_code == 202
        p = partition_of("you", settings.partitions)
        state.set_meta(p, max_event_ms=at_ms, broker_ms=wall_clock_ms())
        state.beat()
        state.flush()
        browser.open(served.url)
        wait_until(lambda: "History is being replayed" in browser.text("#history"), 20, "the notice")
        assert "8:53:20" in browser.text("#history")
        assert "1 event waits." in browser.text("#history")
        state.set_meta(p, **{f"off:{Topics(settings.topic_prefix).of(EventType.CART)}": 1})
        state.flush()
        wait_until(lambda: browser.evaluate("document.getElementById('history').hidden"), 20, "its end")
        assert browser.errors == []
    finally:
        served.stop()
        state.close()


def test_the_page_shows_what_the_newest_visitor_is_recommended_and_how_it_changes(
    served: ServedApi, browser: Chromium, state: ShopState
) -> None:
    fill(state)
    now = wall_clock_ms()
    for n in range(20):
        items = ("tea", "cup") if n % 2 else ("pen", HOSTILE_ID)
        state.put_session(f"v{n}", 1, StoredSession(now - 2_000, now - 1_000, items, (1, 1)), now + n)
    state.put_visitor("you", make_visitor((VIEW, "tea")))
    state.add_events([make_event(EventType.VIEW, now + 1_000, user_id="you", product_id="tea")])
    state.flush()
    browser.open(served.url)
    first = "document.querySelector('.recommended .name')?.textContent"
    wait_until(lambda: browser.evaluate(first) == "cup", 20, "what goes with tea")
    assert "you: viewed tea" in browser.text(".did")
    assert "tea" in browser.evaluate("document.querySelector('.recommended .why').textContent")
    state.put_visitor("you", make_visitor((VIEW, "tea"), (VIEW, "pen")))
    state.flush()
    wait_until(lambda: browser.evaluate(first) == HOSTILE_ID, 20, "what goes with pens")
    assert browser.errors == []
