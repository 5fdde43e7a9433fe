"""Models that read how items convert: trained, exported, and given the same wherever they are asked."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from contracts.events import encode
from models.artefacts.card import ArtefactError, write_artefact
from models.next_action.features import CONTEXT_FEATURES
from models.next_action.predictor import Predictor, load
from models.next_action.rates import RATE_FEATURES
from models.next_action.reasons import REASON_CODES, describe
from models.next_action.training.fit import FitConfig
from models.next_action.training.recipe import Trained, recipe_of, train
from ops.cli import app
from ops.learning.alert_evaluation import predict_all
from ops.learning.loop.next_action import NextActionTrainer
from ops.learning.predictions import say_model
from ops.learning.training import TrainingOptions, run_training
from small_training import RECIPE, small_cases, small_events

pytestmark = pytest.mark.slow

FEATURES = (*CONTEXT_FEATURES, *RATE_FEATURES)


@cache
def rates_training() -> Trained:
    return train({"small": small_cases()}, replace(RECIPE, rates=True))


def rates_predictor() -> Predictor:
    return Predictor(rates_training().model, rates_training().card)


def test_the_card_names_the_rates_and_the_loaded_model_wants_them(tmp_path: Path) -> None:
    trained = rates_training()
    write_artefact(tmp_path, trained.model, trained.card)
    assert trained.card.context_features == FEATURES
    assert load(tmp_path).reads_rates
    wrong = replace(trained.card, context_features=(*FEATURES[:-1], "moon")).sealed()
    write_artefact(tmp_path, trained.model, wrong)
    with pytest.raises(ArtefactError, match=r"context features .* unknown \['moon'\]"):
        load(tmp_path)


def test_a_card_that_leaves_out_what_its_model_reads_is_refused(tmp_path: Path) -> None:
    trained = rates_training()
    write_artefact(tmp_path, trained.model, replace(trained.card, context_features=CONTEXT_FEATURES).sealed())
    with pytest.raises(ArtefactError, match="golden context has 62 numbers"):
        load(tmp_path)


def test_rates_are_supplied_to_it_over_files() -> None:
    predictor, cases = rates_predictor(), small_cases()
    expected = predictor.predict(*cases.with_rates().batch(np.arange(len(cases))))
    for said in (say_model(predictor, cases), predict_all(predictor, cases)):
        for found, wanted in zip(said, expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)
    steps, lengths, context = cases.batch(np.arange(200))
    unknown = np.concatenate([context, np.zeros((200, len(RATE_FEATURES)), np.float32)], axis=1)
    assert np.abs(predictor.predict(steps, lengths, unknown).purchase - expected.purchase[:200]).max() > 1e-3
    assert NextActionTrainer().ask(predictor, cases).purchase.shape == (64,)


def test_trees_read_them_too() -> None:
    fit = replace(RECIPE.fit, most_epochs=1)
    trained = train({"small": small_cases()}, replace(RECIPE, fit=fit, rates=True, trees={"most_rounds": 3}))
    predictor = Predictor(trained.model, trained.card)
    assert predictor.reads_rates
    action, _ = say_model(predictor, small_cases())
    np.testing.assert_allclose(action.sum(axis=1), 1.0, atol=1e-5)


def test_training_reads_them_unless_told_otherwise(tmp_path: Path) -> None:
    assert recipe_of("cnn_bigru", FitConfig()).rates
    file = tmp_path / "shop.jsonl"
    file.write_bytes(b"".join(encode(event) + b"\n" for event in small_events()))
    options = TrainingOptions((file,), tmp_path / "m", tmp_path / "runs", kind="gru", most_epochs=1)
    for rates in (True, False):
        assert run_training(replace(options, rates=rates)) == 0
        assert load(tmp_path / "m").reads_rates is rates


def test_how_often_others_buy_may_be_a_reason() -> None:
    context = small_cases().with_rates().context[:500]
    codes = {reason.code for row in rates_predictor().reasons(context, len(REASON_CODES)) for reason in row}
    assert codes == set(REASON_CODES)
    assert describe("demand", context[0].tolist()) == "how often others buy this product or its like"


def test_the_predict_command_asks_it_as_of_unknown_items(tmp_path: Path) -> None:
    write_artefact(tmp_path, rates_training().model, rates_training().card)
    answer = CliRunner().invoke(app, ["predict", "view", "cart", "--json", "--model", str(tmp_path)])
    assert 0 < orjson.loads(answer.output)["purchase_probability"] < 1
