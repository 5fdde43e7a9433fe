"""Candidates for recommendations that must never be used, each refused with what is wrong with it."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from contracts.settings import Settings
from item_shop import sessions
from models.artefacts.card import ArtefactError, write_artefact
from models.lifecycle.checks import Unfit, check_candidate
from models.lifecycle.store import ModelStore
from models.lifecycle.trainer import Made
from models.next_item.item_table import ITEMS_FILE, ItemTable
from models.next_item.sessions import UNKNOWN, code_catalogue, split_by_time
from models.next_item.source import ALONE
from models.next_item.training.export import Artefact
from models.next_item.training.net_config import FitConfig, NetConfig
from models.next_item.training.recipe import Recipe, train
from ops.learning.loop.next_item import NEW, NextItemTrainer, ShopPast

pytestmark = pytest.mark.slow

TRAINER = NextItemTrainer()
SETTINGS = Settings(idle_ms=2_000)
NET = NetConfig(width=24, length=6, dropout=0.0)
FIT = FitConfig(
    loss="full", learning_rate=2e-2, batch_size=64, most_epochs=6, average=0.9, warm_up_steps=10, refit=False
)


@cache
def past() -> ShopPast:
    return TRAINER.read(sessions(1_500, start_ms=1_760_000_000_000, every_ms=500), SETTINGS)


@cache
def honest() -> Artefact:
    """What the trainer makes, with a smaller network."""
    found, products = past().sessions
    learnt, code_of = code_catalogue(split_by_time(found, NEW)[0])
    ids = np.array(products, dtype=np.str_)[code_of != UNKNOWN]
    return train(learnt, ids, Recipe(NET, FIT)).artefact


def made(table: ItemTable | None = None, model: bytes | None = None) -> Made:
    """A sealed artefact with other items or another network: whoever made it says what it must answer."""
    table, model = table or honest().table, model or honest().model
    card = replace(
        honest().card,
        model_sha256=hashlib.sha256(model).hexdigest(),
        items_sha256=hashlib.sha256(table.encode()).hexdigest(),
    ).sealed()
    return Made(model, card, {ITEMS_FILE: table.encode()})


def check(folder: Path, candidate: Made) -> dict[str, Any]:
    place = ModelStore(folder).put(TRAINER.slot, *candidate)
    return check_candidate(TRAINER, TRAINER.source(SETTINGS).at(place), ALONE, past())


def test_an_honest_candidate_passes(tmp_path: Path) -> None:
    figures = check(tmp_path, made())
    assert figures["loss"] < figures["the_sessions_alone_loss"] < figures["base_rate_loss"]
    assert figures["held_out_sessions"] > 100


def test_item_ids_that_were_shuffled(tmp_path: Path) -> None:
    table = honest().table
    shuffled = table._replace(ids=np.random.default_rng(1).permutation(table.ids))
    with pytest.raises(Unfit, match=r"^not better than the sessions alone in the newest \d+ sessions"):
        check(tmp_path, made(shuffled))


def test_items_whose_vectors_are_no_numbers(tmp_path: Path) -> None:
    table = honest().table
    golden = {code for prefix in honest().card.golden.prefixes for code in prefix}
    spoiled = table.vectors.copy()
    others = [code for code in range(len(table.ids)) if code not in golden]
    assert others, "none is left that no golden prefix has"
    spoiled[others] = np.nan
    with pytest.raises(Unfit, match="it cannot be asked: the network says what is no number"):
        check(tmp_path / "some", made(table._replace(vectors=spoiled)))
    with pytest.raises(Unfit, match="it cannot be loaded: golden outputs differ"):
        check(tmp_path / "all", made(table._replace(vectors=np.full_like(table.vectors, np.nan))))


def test_a_missing_or_damaged_table_of_items(tmp_path: Path) -> None:
    whole = made()
    with pytest.raises(ArtefactError, match=r"the card lists items\.npz, model\.onnx, got model\.onnx"):
        check(tmp_path, whole._replace(beside={}))
    write_artefact(tmp_path / "made", whole.model, whole.card)
    source = TRAINER.source(SETTINGS).at(tmp_path / "made")
    with pytest.raises(Unfit, match=r"it cannot be loaded: .* has no readable items\.npz"):
        check_candidate(TRAINER, source, ALONE, past())
    (tmp_path / "made" / ITEMS_FILE).write_bytes(whole.beside[ITEMS_FILE][:-1])
    with pytest.raises(Unfit, match=r"it cannot be loaded: items\.npz does not belong to its card"):
        check_candidate(TRAINER, source, ALONE, past())


def test_ten_times_as_slow(tmp_path: Path) -> None:
    model, wide = onnx.load_from_string(honest().model), 2_048
    (output,) = [one.name for one in model.graph.output]
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == output:
                node.output[place] = "said"
    rng = np.random.default_rng(2)
    model.graph.node.extend(
        [
            helper.make_node("MatMul", ["said", "widen"], ["layer0"]),
            *[helper.make_node("MatMul", [f"layer{i}", "square"], [f"layer{i + 1}"]) for i in range(16)],
            helper.make_node("ReduceMax", ["layer16"], ["most"], keepdims=1),
            helper.make_node("Mul", ["most", "nothing"], ["nothings"]),
            helper.make_node("Add", ["said", "nothings"], [output]),
        ]
    )
    constants = {
        "widen": rng.normal(0, 0.01, (NET.width, wide)).astype(np.float32),
        "square": rng.normal(0, 0.01, (wide, wide)).astype(np.float32),
        "nothing": np.array([0.0], dtype=np.float32),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    with pytest.raises(Unfit, match=r"^it takes \d+\.\d times as long as the champion, at most 5 "):
        check(tmp_path, made(model=bytes(model.SerializeToString())))


def test_a_version_in_the_store_has_all_its_files(tmp_path: Path) -> None:
    candidate = made()
    place = ModelStore(tmp_path).put(TRAINER.slot, *candidate)
    assert sorted(file.name for file in place.iterdir()) == ["card.json", ITEMS_FILE, "model.onnx"]
    assert TRAINER.source(SETTINGS).at(place).load().version == candidate.card.version
