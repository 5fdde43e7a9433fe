"""The part of `/v1/models` about versions that the learner judges, as it is in the store."""

from pathlib import Path

import httpx
import pytest

from contracts.settings import Settings
from models.lifecycle.pairs import SessionPair
from models.lifecycle.standings import Standing, write_standing
from models.lifecycle.store import ModelStore
from models.lifecycle.trainer import Stretch
from models.next_item.source import NEXT_ITEM

START_MS = 1_760_000_000_000


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"model_store": str(tmp_path)})


async def test_what_versions_came_to_is_told(client: httpx.AsyncClient, settings: Settings) -> None:
    pairs = [SessionPair(2, (1.0, 1.0), (0.5, float(n % 2)), base=2.0) for n in range(300)]
    begun = Standing(
        slot=NEXT_ITEM,
        champion="sessions-alone",
        other="abc",
        tasks=("rank", "miss"),
        after_ms=START_MS,
        through_ms=START_MS,
        at_ms=START_MS,
        counts={},
    )
    folder = ModelStore(Path(settings.model_store)).slot_folder(NEXT_ITEM)
    write_standing(folder, begun.add(Stretch(START_MS + 60_000, pairs), START_MS + 90_000))
    answer = await client.get("/v1/models")
    assert answer.status_code == 200, answer.text
    (slot,) = answer.json()["judged"]
    assert (slot["slot"], slot["champion"], slot["beside"]) == (NEXT_ITEM, "sessions-alone", "abc")
    assert (slot["sessions"], slot["answers"], slot["base_loss"]) == (300, 600, 1.0)
    assert slot["champion_losses"] == {"rank": 0.5, "miss": 0.5}
    assert slot["beside_losses"] == {"rank": 0.25, "miss": 0.25}
    assert slot["difference"] == pytest.approx(-1.0)
    assert slot["low"] < slot["difference"] < slot["high"] < 0
    assert slot["through"] == "2025-10-09T08:54:20Z"
