"""The storefront's snippet in a real browser, on a page of another origin, with the real API and Kafka."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from api.identity.principal import Scope
from chromium import Chromium
from contracts.events import LOGGED_OUT
from contracts.settings import Settings
from ops.stack.ports import pick_port
from served_api import ServedApi
from services import wait_until
from shop_site import ShopSite
from shop_visit import Visit

MAX_BYTES = 3_584
QUICK = """
window.delays = []
const wait = window.setTimeout
window.setTimeout = (act, ms) => { delays.push(ms); return wait(act, Math.min(ms, 40)) }
"""
"""Has a page wait 40 ms at most, and notes how long it wanted to."""


@pytest.fixture
def settings(make_installation: Callable[..., Settings]) -> Settings:
    return make_installation(partitions=2, api_port=pick_port())


@pytest.fixture
def api(settings: Settings) -> Iterator[ServedApi]:
    served = ServedApi(settings)
    served.start()
    yield served
    served.stop()


@pytest.fixture
def shop() -> Iterator[ShopSite]:
    site = ShopSite()
    yield site
    site.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def visit(browser: Chromium, shop: ShopSite, api: ServedApi, settings: Settings) -> Visit:
    return Visit(browser, shop, api, settings)


def test_the_file_is_small_and_may_be_kept_and_loaded_by_any_page(api: ServedApi) -> None:
    answer = httpx.get(f"{api.url}/static/storepulse.js")
    assert len(answer.content) < MAX_BYTES
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.headers["access-control-allow-origin"] == "*"
    for tag in (answer.headers["etag"], "W/" + answer.headers["etag"], '"other", ' + answer.headers["etag"]):
        again = httpx.get(f"{api.url}/static/storepulse.js", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]


def test_what_a_visitor_does_on_the_example_page_arrives_once(visit: Visit) -> None:
    page = f"{visit.shop.origin}/shop.html?key={visit.key}&api={visit.api.url}"
    visit.browser.open(page)
    wait_until(lambda: bool(visit.run("window.storepulse && !storepulse.q")), 20, "the snippet")
    visit.run(
        "const click = (li, n) => document.querySelectorAll('li')[li].querySelectorAll('button')[n].click();"
        "for (const n of [0, 1, 2, 2, 3]) click(0, n);"
        "click(1, 2); document.getElementById('buy').click()"
    )
    events = visit.await_events(8)
    assert Counter(e.event_type.value for e in events) == {
        "view": 1, "favorite": 1, "cart": 3, "remove_from_cart": 1, "purchase": 2,
    }  # fmt: skip
    assert len({e.user_id for e in events}) == len({e.session_id for e in events}) == 1
    assert {e.currency for e in events} == {"EUR"}
    bought = [(e.product_id, e.price_minor, e.order_id) for e in events if e.event_type.value == "purchase"]
    assert sorted(bought)[0][:2] == ("p00054", 1_990)
    assert len({order for *_, order in bought}) == 1
    visit.await_empty_queue()
    assert visit.sends() == 1
    assert visit.browser.errors == []


def test_twenty_events_go_at_once_and_the_rest_in_batches(visit: Visit) -> None:
    visit.open()
    visit.run("for (let n = 0; n < 50; n++) storepulse.view('p' + n)")
    events = visit.await_events(50)
    assert {e.product_id for e in events} == {f"p{n}" for n in range(50)}
    visit.await_empty_queue()
    assert visit.sends() == 3


def test_calls_made_before_the_snippet_has_come_are_not_lost(visit: Visit) -> None:
    stub = "<script>storepulse = {q: [['view', 'early', {price: 5}]]}</script>"
    attributes = f'data-key="{visit.key}"'
    visit.browser.open(visit.shop.put("/", api=visit.api.url, attributes=attributes, script=stub))
    [event] = visit.await_events(1)
    assert (event.product_id, event.price_minor) == ("early", 500)


def test_a_page_that_closes_sends_what_it_holds_and_the_next_one_repeats_it_harmlessly(visit: Visit) -> None:
    visit.open()
    visit.run("storepulse.view('p1')")
    visit.browser.open("about:blank")
    [event] = visit.await_events(1)
    visit.open()
    visit.await_empty_queue()
    assert [e.event_id for e in visit.await_events(1)] == [event.event_id]


def test_what_was_done_while_the_api_was_away_arrives_when_it_is_back(
    visit: Visit, settings: Settings
) -> None:
    visit.open()
    visit.run("storepulse.view('p1')")
    visit.await_events(1)
    visit.await_empty_queue()
    visit.api.stop()
    visit.run("storepulse.cart('p1', {price: '19.90', currency: 'EUR'})")
    before = visit.sends()
    wait_until(lambda: bool(visit.run("1")) and visit.sends() >= before + 2, 30, "two attempts in vain")
    back = ServedApi(settings)
    back.start()
    try:
        events = visit.await_events(2)
        assert [e.event_type.value for e in events] == ["view", "cart"]
        visit.await_empty_queue()
        assert len(visit.arrived()) == 2
    finally:
        back.stop()


def test_the_queue_outlives_the_page_and_is_bounded(visit: Visit) -> None:
    url = "http://127.0.0.1:1"
    visit.before_each_page(QUICK)
    visit.open(attributes=f'data-url="{url}"')
    visit.run("for (let n = 0; n < 250; n++) storepulse.view('p' + n)")
    queue = json.loads(visit.run("localStorage['sp.q']"))
    assert [queue[0]["product_id"], len(queue), queue[-1]["product_id"]] == ["p50", 200, "p249"]
    visit.open(path="/later")
    events = visit.await_events(200)
    assert {e.event_id for e in events} == {e["event_id"] for e in queue}
    assert all(abs(e.event_time_ms - queue[0]["event_time"]) < 60_000 for e in events)


def test_back_off_grows_with_jitter_and_obeys_retry_after(visit: Visit) -> None:
    answers = """
    window.answers = [503, 429, 408, 500]
    const send = window.fetch
    window.fetch = async (...args) => {
      const status = answers.shift(), headers = status == 429 ? {'Retry-After': '70'} : {}
      return status ? new Response('', {status, headers}) : send(...args)
    }
    """
    visit.before_each_page(QUICK + answers)
    visit.open()
    visit.run("storepulse.view('p1')")
    visit.await_events(1)
    visit.await_empty_queue()
    first, *backed_off = visit.run("delays")[:5]
    assert first == 2_000
    for n, (delay, retry_after_ms) in enumerate(zip(backed_off, (0, 70_000, 0, 0), strict=True)):
        assert 500 * 2**n <= delay - retry_after_ms <= 1_000 * 2**n
    assert visit.run("answers") == []


@pytest.mark.parametrize("event", ["{price: -1}", "{note: 'x'.repeat(70000)}"])
def test_what_the_api_refuses_is_said_and_not_sent_again(visit: Visit, event: str) -> None:
    visit.before_each_page(QUICK)
    visit.open()
    visit.run(f"storepulse.view('bad', {event})")
    visit.await_empty_queue()
    visit.run("storepulse.view('good')")
    [arrived] = visit.await_events(1)
    assert arrived.product_id == "good"
    assert any("storepulse: 400" in error for error in visit.browser.errors)


def test_a_key_of_another_shop_opens_nothing(visit: Visit) -> None:
    visit.before_each_page(QUICK)
    visit.open(key="pk_live_" + "a" * 12 + "_" + "A" * 43)
    visit.run("storepulse.view('p1')")
    visit.await_empty_queue()
    assert any("storepulse: 401" in error for error in visit.browser.errors)
    assert visit.arrived() == {}


def test_without_consent_nothing_is_kept_or_sent(visit: Visit) -> None:
    visit.open(attributes='data-consent="no"')
    visit.run("storepulse.view('p1'); storepulse.identify('someone')")
    visit.browser.open("about:blank")
    visit.open(attributes='data-consent="no"')
    assert (visit.kept(), visit.run("storepulse.id()"), visit.sends()) == (set(), None, 0)
    visit.run("storepulse.consent(true); storepulse.view('p2')")
    [event] = visit.await_events(1)
    assert (event.product_id, event.user_id) == ("p2", visit.run("storepulse.id()"))
    visit.run("storepulse.view('p3'); storepulse.consent(false)")
    assert visit.kept() == {"sp.c"}
    visit.run("storepulse.view('p4')")
    visit.browser.open("about:blank")
    visit.open(attributes='data-consent="no"')
    visit.run("storepulse.view('p5')")
    assert (visit.kept(), visit.sends(), len(visit.arrived())) == ({"sp.c"}, 1, 1)


@pytest.mark.parametrize("signal", ["globalPrivacyControl: true", "doNotTrack: '1'"])
def test_who_does_not_want_to_be_followed_is_not(visit: Visit, signal: str) -> None:
    visit.before_each_page(f"Object.defineProperties(navigator, {{{signal.replace(': ', ': {value: ')}}}}})")
    visit.before_each_page(QUICK)
    visit.open()
    visit.run("storepulse.consent(true); storepulse.identify('someone'); storepulse.view('p1')")
    visit.browser.open("about:blank")
    visit.open()
    assert (visit.kept(), visit.run("storepulse.id()")) == ({"sp.c"}, None)
    assert (visit.sends(), visit.arrived()) == (0, {})


def test_without_storage_events_are_sent_all_the_same(visit: Visit) -> None:
    visit.before_each_page(
        "Object.defineProperty(window, 'localStorage', {get() { throw Error('blocked') }})"
    )
    visit.open()
    visit.run("storepulse.view('p1'); storepulse.favorite({product_id: 'p2', brand: 'Stride'})")
    events = visit.await_events(2)
    assert len({e.user_id for e in events}) == 1
    assert [e.brand for e in events] == [None, "Stride"]


def test_visitors_keep_their_id_people_have_their_own_and_sessions_end(visit: Visit) -> None:
    visit.open()
    visit.run("storepulse.view('p1')")
    visit.open(path="/next")
    visit.run("storepulse.view('p2'); storepulse.identify('anna'); storepulse.view('p3')")
    visit.run("localStorage['sp.s'] = localStorage['sp.s'].split('.')[0] + '.' + (Date.now() - 1_800_001)")
    visit.run("storepulse.identify(); storepulse.view('p4')")
    events = {e.product_id: e for e in visit.await_events(4)}
    visitor = events["p1"].user_id
    assert [events[p].user_id for p in ("p2", "p3", "p4")] == [visitor] * 3
    assert [events[f"p{n}"].customer_id for n in range(1, 5)] == [LOGGED_OUT, LOGGED_OUT, "anna", LOGGED_OUT]
    assert events["p1"].session_id == events["p2"].session_id == events["p3"].session_id
    assert events["p4"].session_id != events["p3"].session_id


def test_recommendations_are_asked_for_after_what_has_happened_was_sent(
    visit: Visit, settings: Settings
) -> None:
    key = visit.shop.make_key(settings, scopes=(Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ))
    visit.open(key=key)
    visit.run("storepulse.view('p1')")
    answer = visit.run("storepulse.recommend({limit: 4, scenario: 'similar', product_id: 'p1'})")
    assert (answer["scenario"], answer["visitor_id"]) == ("similar", visit.run("storepulse.id()"))
    assert (answer["items"], answer["empty_because"]) == ([], "no_products")
    assert [event.product_id for event in visit.arrived().values()] == ["p1"]
    assert visit.browser.errors == []
    refused = visit.run("storepulse.recommend({limit: 0}).catch((error) => error.message)")
    assert refused == "storepulse: 422"


def test_a_key_that_was_not_made_for_it_gets_no_recommendations(visit: Visit) -> None:
    visit.open()
    refused = visit.run("storepulse.recommend().catch((error) => error.message)")
    assert refused == "storepulse: 403"


def test_who_may_not_be_tracked_is_recommended_nothing_personal(visit: Visit, settings: Settings) -> None:
    key = visit.shop.make_key(settings, scopes=(Scope.EVENTS_WRITE, Scope.RECOMMENDATIONS_READ))
    visit.open(key=key, attributes='data-consent="no"')
    answer = visit.run("storepulse.recommend()")
    assert (answer["visitor_id"], answer["rec_id"], visit.kept()) == (None, None, set())
