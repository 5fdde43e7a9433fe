"""The API answers from what an earlier version left in Redis as that version did."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from redis import Redis

from api.app import create_app
from contracts.settings import Settings
from golden_installation import Answer, about, golden_answers, restore_redis
from rule_model import GivenModel
from services import uninstall, unique_settings

NO_KAFKA = "127.0.0.1:1"
LATER_FIELDS = {
    "left_out",
    "units_returned",
    "refunded",
    "net_revenue",
    "min_value_minor",
    "unread",
    "trouble",
    "missing",
    "visitor_id",
    "customer_id",
    "parts",
    "backlog",
    "archives",
    "quiet_hours",
    "bought_later",
    "withheld",
    "value_at_risk",
    "recommendations",
}
"""Fields that answers have got since; nothing of an earlier version is in them."""
LATER_TEXT = re.compile(r'"customer_id":null,|"value_at_risk":(?:null|\{[^}]*\}),')
"""The same where the answer is a text."""
NULL_AT_FIRST = {
    "accuracy", "macro_f1", "log_loss", "ece", "rate", "brier", "reliability", "precision", "recall",
    "base_rate", "wait_mean_s", "mean",
}  # fmt: skip
"""Figures of models that are withheld while there is too little data for them."""


@pytest.fixture
def restored(redis_url: str) -> Iterator[Settings]:
    """The settings of the installation, in a namespace of its own."""
    settings = unique_settings(NO_KAFKA, redis_url, **about()["settings"])
    client = Redis.from_url(redis_url)
    restore_redis(client, settings)
    client.close()
    yield settings
    uninstall(settings, topics=False)


@pytest.fixture
async def client(restored: Settings, set_clock: Callable[..., None]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API whose clock stands where the installation's was."""
    set_clock(stands=True)
    app = create_app(restored, GivenModel())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            headers={"Authorization": f"Bearer {about()['token']}"},
        ) as client,
    ):
        yield client


async def test_every_answer_is_as_it_was(client: httpx.AsyncClient) -> None:
    expected = {answer.path: comparable(answer) for answer in golden_answers()}
    found = {path: comparable(await ask(client, path)) for path in expected}
    assert [path for path, answer in found.items() if answer != expected[path]] == []
    assert found == expected


async def ask(client: httpx.AsyncClient, path: str) -> Answer:
    response = await client.get(path)
    content_type = response.headers["content-type"]
    body = response.json() if "json" in content_type else response.text
    return Answer(path, response.status_code, content_type, body)


def comparable(answer: Answer) -> Answer:
    """The answer without what differs between two requests, and no more digits than any machine gives.

    Of what has a code, the code is compared: its words are for people, and may become better ones.
    """
    text = LATER_TEXT.sub("", answer.body.rstrip()) if isinstance(answer.body, str) else None
    body = rounded(answer.body if text is None else text)
    if answer.status >= 400:
        del body["request_id"], body["detail"]
    if answer.path == "/v1/models":
        withhold(body)
    return answer._replace(body=body)


def withhold(value: Any) -> None:
    """Take out the figures that may be null now: the installation is a few minutes old."""
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        withhold(part)
    if isinstance(value, dict):
        for name in NULL_AT_FIRST & value.keys():
            value[name] = None


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        left_out = LATER_FIELDS | {"words"} if "code" in value else LATER_FIELDS
        return {name: rounded(part) for name, part in value.items() if name not in left_out}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 9) if isinstance(value, float) else value
