"""`storepulse models` on a real Kafka: steps by hand, and what an API that has just started makes of them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from contracts.heartbeat import NEXT_ACTION
from contracts.model_steps import Author, StepKind
from contracts.settings import Settings
from ops.models.commands import decide, list_steps, list_versions
from ops.models.steps import ModelSteps, Wanted, reading
from stub_model import write_model


@pytest.fixture
def shop(installation: Settings, tmp_path: Path) -> Settings:
    """An installation with a model in the settings and an empty store."""
    write_model(tmp_path / "base")
    fields = {"model_dir": str(tmp_path / "base"), "model_store": str(tmp_path / "store")}
    return installation.model_copy(update=fields)


def put(shop: Settings, phase: float) -> str:
    """Put another model into the store; its version."""
    folder = Path(shop.model_store) / NEXT_ACTION
    version = write_model(folder / "made", phase=phase)
    (folder / "made").rename(folder / version)
    return version


def ask_api(shop: Settings) -> tuple[str, Any]:
    """The version that an API which has just started asks, and the history it tells."""

    async def ask() -> tuple[str, Any]:
        app = create_app(shop)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                body = {"actions": [{"event_type": "view", "product_id": "p1"}]}
                said = (await client.post("/v1/predict/next-action", json=body)).json()
                return said["model"], (await client.get("/v1/models/history")).json()

    return asyncio.run(ask())


def test_versions_are_promoted_rolled_back_and_pinned_by_hand(
    shop: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(kind: StepKind, version: str | None = None) -> str:
        code = decide(shop, kind, NEXT_ACTION, version, "a test")
        found = capsys.readouterr()
        assert (code == 0) == (not found.err)
        return (found.out + found.err).strip()

    one, two = put(shop, 1.0), put(shop, 2.0)
    assert run(StepKind.ROLL_BACK) == "there was no champion before base"
    assert run(StepKind.PROMOTE, one) == f"step 1 of next_action: the champion is {one}"
    assert run(StepKind.PROMOTE, two) == f"step 2 of next_action: the champion is {two}"
    assert run(StepKind.PROMOTE, "v3").startswith("next_action has no version v3 in ")
    assert ask_api(shop)[0] == two
    assert run(StepKind.ROLL_BACK) == f"step 3 of next_action: the champion is {one}"
    assert run(StepKind.PIN) == f"step 4 of next_action: the champion is {one}"
    assert run(StepKind.PROMOTE, two) == f"{one} is pinned"

    model, history = ask_api(shop)
    assert model == one
    assert history["is_complete"]
    (slot,) = history["slots"]
    assert (slot["champion"], slot["is_pinned"], slot["rejected"]) == (one, True, [two])
    assert [step["step"] for step in history["steps"]] == ["pin", "roll_back", "promote", "promote"]

    assert run(StepKind.UNPIN) == f"step 5 of next_action: the champion is {one}"
    assert list_versions(shop, None, as_json=True) == 0
    stages = {row["version"]: row["stage"] for row in json.loads(capsys.readouterr().out)}
    assert stages == {one: "champion", "base": "former champion", two: "rejected"}
    assert list_steps(shop, NEXT_ACTION, as_json=False) == 0
    assert capsys.readouterr().out.count("a test") == 5


async def test_steps_are_read_from_every_partition_that_a_topic_has(embedded_installation: Settings) -> None:
    """The embedded broker gives each topic four; a slot's steps are all in one of them."""
    async with ModelSteps(embedded_installation) as steps:
        for slot in "abcdef":
            await steps.take(Wanted(slot, StepKind.CANDIDATE, "v1", Author.LEARNER, "a test"))
    async with reading(embedded_installation) as lifecycle:
        assert [lifecycle.state(slot).candidate for slot in "abcdef"] == ["v1"] * 6
