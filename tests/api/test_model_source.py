"""A folder as the source of a model: what changes its stamp, and what is refused."""

from pathlib import Path

import httpx
import pytest

from api.app import create_app
from api.resources.predictions.next_action_model import NextActionModel
from api.services import services_of
from api_keys import AS_ROOT, ROOT_KEY
from models.artefacts.card import CARD_FILE, MODEL_FILE, ArtefactError
from models.next_action.source import next_action_folder
from rule_model import make_card
from services import unique_settings


def test_a_folder_without_a_model_has_no_stamp_and_is_refused(tmp_path: Path) -> None:
    folder = next_action_folder(str(tmp_path))
    assert folder.stamp() is None
    with pytest.raises(ArtefactError, match="has no readable"):
        folder.load()


def test_the_stamp_changes_with_either_file(tmp_path: Path) -> None:
    folder = next_action_folder(str(tmp_path))
    stamps = []
    for name, content in ((MODEL_FILE, b"a"), (CARD_FILE, b"{}"), (MODEL_FILE, b"ab"), (CARD_FILE, b"{ }")):
        (tmp_path / name).write_bytes(content)
        stamps.append(folder.stamp())
    assert stamps[0] is None
    assert len({str(stamp) for stamp in stamps}) == 4


def test_a_model_that_is_not_that_of_its_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"no model")
    (tmp_path / CARD_FILE).write_bytes(make_card("v").encode())
    with pytest.raises(ArtefactError, match="SHA-256 differs"):
        next_action_folder(str(tmp_path)).load()


async def test_the_api_starts_with_a_damaged_model_and_says_so(tmp_path: Path) -> None:
    (tmp_path / MODEL_FILE).write_bytes(b"no model")
    (tmp_path / CARD_FILE).write_bytes(b"{")
    settings = unique_settings(
        "127.0.0.1:1", "redis://127.0.0.1:1/0", model_dir=str(tmp_path), root_key=ROOT_KEY
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=AS_ROOT) as client,
    ):
        answer = await client.post("/v1/predict/next-action", json={"actions": ["view"]})
        assert (answer.status_code, answer.json()["code"]) == (503, "model.unavailable")
        assert services_of(app).get(NextActionModel).trouble.startswith("card.json is damaged")
