"""Models that read names: what they are trained on, what they say of themselves, and all who ask them."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from api.resources.predictions.next_action_model import ask
from contracts.events import encode
from contracts.scores import SCALE
from models.artefacts.card import ArtefactError, write_artefact
from models.next_action.card import decode_card
from models.next_action.encoding import encode_visitor, stack
from models.next_action.evaluation.contenders import choose
from models.next_action.evaluation.fitting import time_prediction
from models.next_action.features import ID_FEATURES
from models.next_action.fold import hash_id
from models.next_action.predictor import Predictor, load
from models.next_action.prefixes import prefixes_of
from models.next_action.prices import UNKNOWN_LEVEL
from models.next_action.training.calibration import calibrated
from models.next_action.training.contender import NetContender
from models.next_action.training.export import TOLERANCE
from models.next_action.training.fit import logits_of
from models.next_action.training.recipe import origin_of, train
from ops.cli import app
from ops.learning.alert_evaluation import predict_all
from ops.learning.training import TrainingOptions, run_training
from shoppers import SETTINGS, Shop, make_action, make_entries, make_event
from slot_scorer import make_scorer
from small_training import (
    IDLE_MS,
    NAMES,
    RECIPE,
    named_training,
    small_cases,
    small_events,
    small_training,
)
from stream.scoring.slots import AskedVisitor

pytestmark = pytest.mark.slow

N_KINDS = len(ID_FEATURES)
MOST_BYTES = 2_000_000


@cache
def named_predictor() -> Predictor:
    return Predictor(named_training().model, named_training().card)


def known_product() -> str:
    """The product of most events of the small shop: enough sessions met it."""
    products = [event.product_id for event in small_events()]
    return max(set(products), key=products.count)


def test_a_trained_model_reads_names_and_says_so(tmp_path: Path) -> None:
    trained = named_training()
    write_artefact(tmp_path, trained.model, trained.card)
    predictor = load(tmp_path)
    assert predictor.reads_ids
    assert predictor.card == trained.card
    assert predictor.card.id_features == ID_FEATURES
    assert np.array(predictor.card.golden.ids).any()
    assert predictor.card.config["net"]["buckets"] == NAMES.buckets
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < MOST_BYTES


def test_the_artefact_answers_as_the_network_does() -> None:
    cases, fitted = small_cases(), named_training().fitted.network
    expected = calibrated(logits_of(fitted.net, cases), fitted.calibration)
    for found, wanted in zip(predict_all(named_predictor(), cases), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE)


def test_a_known_product_matters_and_an_unknown_one_is_none() -> None:
    predictor = named_predictor()
    batch = small_cases().batch(slice(0, 50))
    unknown, known = (np.zeros((*batch[0].shape[:2], N_KINDS), np.int64) for _ in range(2))
    rows = named_training().fitted.network.net.names.rows[0]  # type: ignore[union-attr]  # it has tables
    unseen = next(n for n in range(1_000) if not rows[hash_id(f"new-{n}") % NAMES.buckets])
    unknown[:, :, 0], known[:, :, 0] = hash_id(f"new-{unseen}"), hash_id(known_product())
    none = predictor.predict(*batch)
    for found, wanted in zip(predictor.predict(*batch, unknown), none, strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found, wanted)
    assert np.abs(predictor.predict(*batch, known).probabilities - none.probabilities).max() > TOLERANCE


def test_golden_names_are_checked(tmp_path: Path) -> None:
    trained = named_training()
    golden = replace(trained.card.golden, purchase=[1.0 - p for p in trained.card.golden.purchase])
    write_artefact(tmp_path, trained.model, replace(trained.card, golden=golden).sealed())
    with pytest.raises(ArtefactError, match="golden outputs differ"):
        load(tmp_path)


def test_a_model_of_other_names_is_refused(tmp_path: Path) -> None:
    trained = named_training()
    write_artefact(tmp_path, trained.model, replace(trained.card, id_features=("product", "colour")).sealed())
    with pytest.raises(ArtefactError, match=r"other names .* unknown \['colour'\]"):
        load(tmp_path)


def test_a_card_that_names_no_ids_for_a_model_that_reads_them_is_refused(tmp_path: Path) -> None:
    trained = named_training()
    write_artefact(tmp_path, trained.model, replace(trained.card, id_features=()).sealed())
    with pytest.raises(ArtefactError, match="cannot be run"):
        load(tmp_path)


def test_a_card_of_a_model_without_names_says_nothing_of_them() -> None:
    text = small_training().card.encode()
    assert b'"ids"' not in text
    assert b"id_features" not in text
    assert decode_card(text) == small_training().card


def test_no_event_after_the_prefix_ever_changes_a_prediction_from_names() -> None:
    events, half = small_events(), len(small_events()) // 2
    until_ms = events[half].event_time_ms
    later = [
        event._replace(product_id="other", brand="other", category="other")
        for event in events[half + 1 :]
        if event.event_time_ms > until_ms
    ]
    found = []
    for rest in (events[half + 1 :], later):
        cases = prefixes_of([*events[: half + 1], *rest], idle_ms=IDLE_MS)
        part = cases.select(cases.at_ms <= until_ms)
        order = np.lexsort((part.length, part.at_ms, part.context[:, 0], part.start_ms))
        found.append(named_predictor().predict(*part.inputs(order, with_ids=True)).probabilities)
    assert len(found[0]) == half + 1
    np.testing.assert_array_equal(found[0], found[1])


async def test_the_scorer_answers_live_as_over_files() -> None:
    product = known_product()
    events = [make_event("view", i, product if i % 2 else f"p{i}", category="c", brand="b") for i in range(9)]
    events.append(make_event("cart", 30, product, category="c", brand="b"))
    shop = Shop()
    shop.apply(make_entries(events))
    scorer = make_scorer()
    scorer.host.take_up(named_predictor())
    try:
        asked = AskedVisitor("u1", shop.visitors["u1"], UNKNOWN_LEVEL)
        score = (await scorer.score({"u1": asked}))["u1"].score
    finally:
        scorer.host.close()
    cases = prefixes_of(events, idle_ms=SETTINGS.idle_ms)
    batch = stack([encode_visitor(shop.visitors["u1"], UNKNOWN_LEVEL, SETTINGS.idle_ms)])
    ids = cases.batch_ids(np.array([len(cases) - 1]))
    expected = named_predictor().predict(*batch, ids)
    rounding = 0.5 / SCALE + 1e-6
    assert score.probabilities == pytest.approx(expected.probabilities[0].tolist(), abs=rounding)
    assert score.purchase == pytest.approx(float(expected.purchase[0]), abs=rounding)
    without = named_predictor().predict(*batch)
    assert np.abs(np.array(score.probabilities) - without.probabilities[0]).max() > TOLERANCE


def test_the_api_takes_names_that_are_told_and_no_others() -> None:
    def chances(product: str) -> np.ndarray:
        actions = [make_action("view", 60 * i, product, price=None) for i in range(3)]
        return np.array(ask(named_predictor(), actions, UNKNOWN_LEVEL, IDLE_MS).score.probabilities)

    assert np.abs(chances(known_product()) - chances("\x000")).max() > TOLERANCE
    np.testing.assert_array_equal(chances("\x000"), chances("\x001"))


def test_the_predict_command_asks_either_kind_of_model(tmp_path: Path) -> None:
    trained = named_training()
    write_artefact(tmp_path, trained.model, trained.card)
    outputs = [
        orjson.loads(CliRunner().invoke(app, ["predict", *what, "--json", "--model", str(tmp_path)]).output)
        for what in (["view", "cart"], [f"view:{known_product()}", f"cart:{known_product()}"])
    ]
    untold, told = (np.array(list(output["distribution"].values())) for output in outputs)
    assert np.abs(untold - told).max() > TOLERANCE


def test_names_of_several_shops_are_not_learnt_together() -> None:
    shops = {"one": small_cases(), "two": small_cases()}
    with pytest.raises(ValueError, match="of the names of one shop, got 2: one, two"):
        train(shops, replace(RECIPE, net=NAMES))


def test_the_command_learns_names_where_asked(tmp_path: Path) -> None:
    file = tmp_path / "shop.jsonl"
    file.write_bytes(b"".join(encode(event) + b"\n" for event in small_events()))
    options = TrainingOptions(
        (file,), tmp_path / "m", tmp_path / "runs", kind="cnn_bigru", most_epochs=1, embeddings=True
    )
    assert run_training(options) == 0
    assert load(tmp_path / "m").reads_ids
    help_text = CliRunner().invoke(app, ["train", "next-action", "--help"], env={"COLUMNS": "200"}).output
    assert "for your own shop" in help_text


def test_the_comparison_has_a_row_with_names() -> None:
    rows, blends = choose(["cnn-bigru-ids"])
    assert (list(rows), blends) == (["cnn-bigru-ids"], {})
    contender = NetContender("gru", fit={"most_epochs": 1}, embeddings=True)
    cases = small_cases()
    learnt, checked, held_back = cases.split(*cases.boundaries(0.6, 0.8))
    contender.fit(learnt, checked, 1)
    action, _ = contender.predict(held_back)
    np.testing.assert_allclose(action.sum(axis=1), 1.0, atol=1e-5)
    assert time_prediction(contender, held_back) > 0.0


def test_the_hash_of_the_data_counts_names_where_they_are_read() -> None:
    cases = small_cases().with_rates(RECIPE.rates)
    renamed = replace(cases, ids=cases.ids + 1)
    for trained, are_read in ((small_training(), False), (named_training(), True)):
        found, other = (origin_of(each, each, with_ids=are_read)["sha256"] for each in (cases, renamed))
        assert found == trained.card.training["shops"]["small"]["sha256"]
        assert (found != other) is are_read
