"""`/v1/webhooks` over HTTP against a real Redis and real receivers."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from delivery.webhooks.delivery_log import DeliveryLog
from delivery.webhooks.signing import check_secret
from receivers import Receiver, open_receiver, say, say_in_turn
from webhook_site import Site

BASE = "/v1/webhooks"
locally = pytest.mark.parametrize("settings", [{"webhook_allow_private": True}], indirect=True)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver(say(200, b"thanks")) as receiver:
        yield receiver


async def create(client: httpx.AsyncClient, url: str, **fields: object) -> dict[str, Any]:
    answer = await client.post(BASE, json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{BASE}/{answer.json()['id']}"
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@locally
async def test_the_secret_is_shown_when_it_is_made_and_never_again(
    client: httpx.AsyncClient, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = await create(client, receiver.url, description="CRM", kinds=["cart_abandoned"], states=["firing"])
    secret = check_secret(made.pop("secret"))
    path = f"{BASE}/{made['id']}"
    assert (await client.get(path)).json() == made
    assert (await client.get(BASE)).json() == {"webhooks": [made]}
    rotated = (await client.post(f"{path}/rotate", json={"overlap_h": 1})).json()
    new = check_secret(rotated.pop("secret"))
    assert new != secret
    current, old = rotated["secrets"]
    assert current["until"] is None
    assert old["until"] > current["created_at"]
    test = (await client.post(f"{path}/test")).json()
    others = [await client.get(path), await client.get(BASE), await client.get(f"{path}/deliveries")]
    said = "".join(answer.text for answer in others) + str(test) + caplog.text
    assert secret not in said
    assert new not in said
    assert receiver.received[-1].verify(secret)
    assert receiver.received[-1].verify(new)
    assert (made["description"], made["kinds"], made["states"]) == ("CRM", ["cart_abandoned"], ["firing"])


@locally
async def test_an_endpoint_without_a_deliverer_says_so(client: httpx.AsyncClient, receiver: Receiver) -> None:
    made = await create(client, receiver.url)
    for shown in (
        (await client.get(f"{BASE}/{made['id']}")).json(),
        (await client.get(BASE)).json()["webhooks"][0],
    ):
        assert shown["status"]["delivering"] is False
        assert "storepulse deliver" in shown["status"]["trouble"]
    paused = (await client.patch(f"{BASE}/{made['id']}", json={"state": "paused"})).json()
    assert paused["status"]["trouble"] is None, "nothing shall be sent"


@locally
async def test_the_least_value_of_a_cart_can_be_set_and_taken_back(
    client: httpx.AsyncClient, receiver: Receiver
) -> None:
    made = await create(client, receiver.url, min_value_minor=5_000)
    path = f"{BASE}/{made['id']}"
    assert made["min_value_minor"] == 5_000
    kept = (await client.patch(path, json={"min_severity": "medium"})).json()
    assert (kept["min_value_minor"], kept["min_severity"]) == (5_000, "medium")
    assert (await client.patch(path, json={"min_value_minor": 0})).json()["min_value_minor"] == 0
    refused = await client.post(BASE, json={"url": receiver.url, "min_value_minor": -1})
    assert code_of(refused) == (422, "min_value_minor.too_small")


@locally
async def test_quiet_hours_can_be_set_and_taken_back(client: httpx.AsyncClient, receiver: Receiver) -> None:
    made = await create(client, receiver.url, quiet_hours="22:00-08:00")
    path = f"{BASE}/{made['id']}"
    kept = (await client.patch(path, json={"min_severity": "medium"})).json()
    assert made["quiet_hours"] == kept["quiet_hours"] == "22:00-08:00"
    assert (await client.patch(path, json={"quiet_hours": ""})).json()["quiet_hours"] == ""
    refused = await client.post(BASE, json={"url": receiver.url, "quiet_hours": "22-8"})
    assert code_of(refused)[0] == 422
    assert "quiet_hours" in refused.json()["code"]


@locally
async def test_a_test_is_sent_at_once_and_logged(client: httpx.AsyncClient, receiver: Receiver) -> None:
    receiver.answer = say_in_turn(say(200, b"thanks"), say(500, b"oops"))
    made = await create(client, receiver.url)
    path = f"{BASE}/{made['id']}"
    good, bad = [(await client.post(f"{path}/test")).json() for _ in range(2)]
    assert (good["status"], good["type"]) == ("delivered", "webhook.test")
    assert (good["attempts"][0]["status"], good["attempts"][0]["answer"]) == (200, "thanks")
    assert (bad["status"], bad["attempts"][0]["answer"], bad["next_attempt_at"]) == ("failed", "oops", None)
    assert receiver.received[0].verify(made["secret"])
    assert receiver.ids == [good["id"], bad["id"]]
    listed = (await client.get(f"{path}/deliveries")).json()
    assert listed == {"deliveries": [bad, good], "next": None}
    assert (await client.get(f"{path}/deliveries/{good['id']}")).json() == good


@locally
async def test_deliveries_are_paged_resent_and_replayed(
    client: httpx.AsyncClient, receiver: Receiver, site: Site
) -> None:
    made = await create(client, receiver.url)
    path = f"{BASE}/{made['id']}"
    async with site.delivering():
        ids = site.publish(7)
        await receiver.wait_for(7)
        seen: list[str] = []
        query = "?limit=3"
        while True:
            page = (await client.get(f"{path}/deliveries{query}")).json()
            seen += [one["id"] for one in page["deliveries"]]
            if page["next"] is None:
                break
            query = f"?limit=3&before={page['next']}"
        assert seen == ids[::-1]
        again = await client.post(f"{path}/deliveries/{ids[2]}/resend")
        assert again.status_code == 202
        await receiver.wait_for(8)
        assert receiver.ids[7] == ids[2]
        started = await client.post(f"{path}/replay", json={"since": "2025-01-01T00:00:00Z"})
        assert (started.status_code, started.json()) == (202, {"replaying": True})
        await receiver.wait_for(15)
        assert sorted(receiver.ids[8:]) == sorted(ids)
        nothing = await client.post(f"{path}/replay", json={"since": "2099-01-01T00:00:00Z"})
        assert nothing.json() == {"replaying": False}


@locally
async def test_an_endpoint_is_changed_paused_resumed_and_removed(
    client: httpx.AsyncClient, receiver: Receiver
) -> None:
    made = await create(client, receiver.url)
    path = f"{BASE}/{made['id']}"
    change = {"description": "other", "min_severity": "high", "kinds": ["churn_risk", "churn_risk"]}
    changed = (await client.patch(path, json=change)).json()
    assert (changed["description"], changed["min_severity"], changed["kinds"]) == (
        "other",
        "high",
        ["churn_risk"],
    )
    assert changed["url"] == receiver.url
    assert (await client.patch(path, json={"state": "paused"})).json()["state"] == "paused"
    assert (await client.patch(path, json={})).json()["state"] == "paused"
    assert (await client.patch(path, json={"state": "active"})).json()["state"] == "active"
    moved = (await client.patch(path, json={"url": f"{receiver.url}2"})).json()
    assert moved["url"] == f"{receiver.url}2"
    removed = await client.delete(path)
    assert (removed.status_code, removed.content) == (204, b"")
    assert code_of(await client.delete(path)) == (404, "webhook.unknown")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/rotate"),
        ("POST", "/replay"), ("GET", "/deliveries"), ("POST", "/deliveries/a-firing/resend"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("webhook_id", ["ep_0123456789abcdef", "nothing", "%00", "ep_%F0%9F%92%A9"])
async def test_an_unknown_endpoint_is_404(
    client: httpx.AsyncClient, method: str, path: str, webhook_id: str
) -> None:
    body = {"since": "2025-01-01T00:00:00Z"} if path == "/replay" else {}
    send_body = {"json": body} if method == "PATCH" or path in ("/rotate", "/replay") else {}
    answer = await client.request(method, f"{BASE}/{webhook_id}{path}", **send_body)  # type: ignore[arg-type]
    assert code_of(answer) == (404, "webhook.unknown")


@locally
async def test_an_unknown_delivery_is_404(client: httpx.AsyncClient, receiver: Receiver) -> None:
    made = await create(client, receiver.url)
    for delivery_id in ("a-firing", "no.dots", "%0a"):
        answer = await client.get(f"{BASE}/{made['id']}/deliveries/{delivery_id}")
        assert code_of(answer) == (404, "delivery.unknown")


URL = "https://example.com/"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "url.missing"),
        ({"url": 1}, 422, "url.not_text"),
        ({"url": ""}, 422, "url.blank"),
        ({"url": URL, "secret": "mine"}, 422, "body.unknown_field"),
        ({"url": URL, "kinds": ["sale"]}, 422, "kinds.not_allowed"),
        ({"url": URL, "min_severity": "extreme"}, 422, "min_severity.not_allowed"),
        ({"url": URL, "description": "x" * 201}, 422, "description.too_long"),
        ({"url": URL, "description": "\x1b[31m"}, 422, "description.not_matching"),
        ([], 422, "body.not_object"),
    ],
)
async def test_a_bad_body_is_refused_by_field_and_rule(
    client: httpx.AsyncClient, body: Any, status: int, code: str
) -> None:
    answer = await client.post(BASE, json=body)
    assert code_of(answer) == (status, code)
    assert "mine" not in answer.text


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://169.254.169.254", "url.scheme"),
        ("https://169.254.169.254/", "url.private_address"),
        ("http://[::ffff:127.0.0.1]", "url.scheme"),
        ("https://[::ffff:127.0.0.1]", "url.private_address"),
        ("http://2130706433", "url.scheme"),
        ("https://2130706433", "url.host"),
        ("http://127.1", "url.scheme"),
        ("https://127.1", "url.host"),
        ("http://①②⑦.0.0.1", "url.scheme"),
        ("https://①②⑦.0.0.1", "url.malformed"),
        ("http://a@127.0.0.1", "url.scheme"),
        ("https://a@127.0.0.1", "url.userinfo"),
        ("file:///etc/passwd", "url.scheme"),
        ("gopher://127.0.0.1", "url.scheme"),
        ("https://localhost/", "url.private_host"),
        ("https://nothing.invalid/", "url.no_address"),
    ],
)
async def test_urls_that_lead_inside_are_refused_at_registration_and_at_change(
    client: httpx.AsyncClient, url: str, code: str
) -> None:
    answer = await client.post(BASE, json={"url": url})
    assert code_of(answer) == (422, code)
    assert answer.json()["errors"][0]["field"] == "url"
    assert (await client.get(BASE)).json() == {"webhooks": []}
    unknown = await client.patch(f"{BASE}/ep_0123456789abcdef", json={"url": url})
    assert code_of(unknown) == (422, code)


async def test_what_was_registered_before_the_rules_were_strict_is_not_sent(
    client: httpx.AsyncClient, receiver: Receiver, site: Site
) -> None:
    endpoint = await site.add(receiver.url)
    test = (await client.post(f"{BASE}/{endpoint.endpoint_id}/test")).json()
    assert (test["status"], test["attempts"][0]["result"]) == ("failed", "address")
    assert receiver.received == []


@pytest.mark.parametrize(
    "settings", [{"webhook_allow_private": True, "webhook_endpoints_max": 2}], indirect=True
)
async def test_there_are_only_so_many_endpoints(client: httpx.AsyncClient, receiver: Receiver) -> None:
    first = await create(client, receiver.url)
    await create(client, receiver.url)
    assert code_of(await client.post(BASE, json={"url": receiver.url})) == (409, "webhook.too_many")
    await client.delete(f"{BASE}/{first['id']}")
    await create(client, receiver.url)


@locally
async def test_a_visitor_is_forgotten_in_every_queue_and_log(
    client: httpx.AsyncClient, receiver: Receiver, site: Site
) -> None:
    made = [await create(client, receiver.url) for _ in range(2)]
    async with site.delivering():
        ids = site.publish(3)
        await receiver.wait_for(6)
    assert [await DeliveryLog(site.reader, one["id"]).forget("u1") for one in made] == [1, 1]
    for one in made:
        listed = (await client.get(f"{BASE}/{one['id']}/deliveries")).json()["deliveries"]
        assert {delivery["id"] for delivery in listed} == {ids[0], ids[2]}
    pattern = f"{site.settings.namespace}:{{webhooks}}:*"
    for key in [key async for key in site.reader.redis.scan_iter(match=pattern)]:
        assert b'"u1"' not in (await site.reader.redis.dump(key) or b"")
