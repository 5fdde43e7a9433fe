"""When the loop trains, what it says with too little data, and how its measure of drift counts."""

from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.events import encode
from contracts.settings import Settings
from models.artefacts.card import ArtefactCard, ArtefactError
from models.lifecycle.store import KEPT, ModelStore
from models.next_item.card import Golden, NextItemCard
from models.next_item.item_table import ITEMS_FILE
from ops.learning.drift_report import WINDOW, _hours_back
from ops.learning.loop.next_action import NextActionTrainer
from ops.learning.loop.schedule import PAUSE_S, RETRY_S, LiveFigures, Past, reason_to_train
from ops.learning.loop.work import Came, _train
from producers.simulator.simulation import SimulationConfig, simulate

DAY_S = 86_400.0


def why(past: Past, live: LiveFigures | None = None, *, now_s: float, applied: int = 1_000) -> str:
    return reason_to_train(past, live, now_s=now_s, applied=applied, every_s=DAY_S)


def test_it_trains_on_schedule_when_it_is_behind_and_when_there_is_much_new() -> None:
    made = Past(candidate_s=1_000.0, applied=1_000)
    assert why(Past(), now_s=1_000) == "there was none yet"
    assert why(made, now_s=1_000 + DAY_S) == "it is time"
    later_s = 1_000 + PAUSE_S
    assert why(made, now_s=later_s) == ""
    behind = LiveFigures(500, 0.9, 0.8)
    assert why(made, behind, now_s=later_s).startswith("the model's loss of late is 0.900")
    assert why(made, behind, now_s=later_s - 1) == "", "not at once again"
    assert why(made, behind._replace(judged=499), now_s=later_s) == ""
    assert why(made, behind._replace(model=0.7), now_s=later_s) == ""
    assert (
        why(made, now_s=later_s, applied=1_500)
        == "there are 1,500 events, at the last candidate there were 1,000"
    )
    tried = made._replace(attempt_s=1_000 + DAY_S)
    assert why(tried, now_s=1_000 + DAY_S + RETRY_S - 1) == "", "too little data a moment ago"
    assert why(tried, now_s=1_000 + DAY_S + RETRY_S) == "it is time"


def test_with_too_little_data_it_says_how_much_is_needed(tmp_path: Path) -> None:
    events = islice(simulate(SimulationConfig(1_759_276_800_000, rate=0.05, visitors=30), seed=3), 200)
    path = tmp_path / "shop.jsonl"
    path.write_bytes(b"".join(encode(event) + b"\n" for event in events))
    settings = Settings(learn_events=str(path), model_store=str(tmp_path / "store"))
    found = _train(NextActionTrainer(), settings)
    assert found["came"] == Came.TOO_LITTLE
    assert str(found["reason"]).startswith("not enough data yet (needs 2,000 sessions, has ")
    assert not (tmp_path / "store").exists()


def test_versions_in_use_are_kept_whatever_their_age(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    versions = []
    for number in range(KEPT + 3):
        model = str(number).encode()
        card = card_of(model)
        store.put("slot", model, card)
        versions.append(card.version)
    assert store.prune("slot", {versions[0]}) == [versions[2], versions[1]]
    assert store.has("slot", versions[0])
    assert len(store.versions("slot")) == KEPT + 1


def test_a_version_is_stored_with_all_files_of_its_card_or_not_at_all(tmp_path: Path) -> None:
    store, items = ModelStore(tmp_path), b"items"
    card = card_of(b"model", items)
    with pytest.raises(ArtefactError, match=r"the card lists items.npz, model.onnx, got model.onnx"):
        store.put("slot", b"model", card)
    with pytest.raises(ArtefactError, match=r"items.npz does not belong to its card"):
        store.put("slot", b"model", card, {ITEMS_FILE: items[:-1]})
    assert not store.versions("slot")
    place = store.put("slot", b"model", card, {ITEMS_FILE: items})
    assert store.versions("slot") == [card.version]
    assert sorted(file.name for file in place.iterdir()) == ["card.json", ITEMS_FILE, "model.onnx"]


def card_of(model: bytes, items: bytes = b"") -> ArtefactCard:
    """A card of these files; without items it lists the model alone."""
    about: dict[str, Any] = {"config": {}, "training": {}, "metrics": {}, "libraries": {}, "licence": ""}
    about["model_sha256"] = sha256(model).hexdigest()
    if not items:
        return ArtefactCard(**about).sealed()
    golden = Golden([], [], 0.0)
    return NextItemCard(**about, items_sha256=sha256(items).hexdigest(), length=1, golden=golden).sealed()


@pytest.mark.parametrize(("far", "hours"), [(0, WINDOW), (300, 800), (3_000, None)])
def test_hours_until_live_figures_are_near_again(far: int, hours: int | None) -> None:
    """An answer an hour; the first ones are ten times as bad as those of the reference."""
    losses = np.ones(2_000)
    losses[:far] = 10.0
    found = _hours_back(losses, np.ones(2_000), np.arange(1, 2_001) * 3_600_000)
    if hours is None:
        assert found is None
    else:
        assert found == pytest.approx(hours, abs=6), "of 500 answers five may be bad"
