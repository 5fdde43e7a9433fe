"""Training: the same twice, better than guessing, calibrated, and blind to what comes later."""

import builtins
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import orjson
import pytest
import torch

from contracts.events import encode
from models.artefacts.card import write_artefact
from models.evaluation.metrics import class_losses, expected_calibration_error
from models.fitting import deterministic, shuffled_batches
from models.next_action.predictor import Predictor, load
from models.next_action.prefixes import prefixes_of
from models.next_action.training.calibration import calibrated, fit_calibration, identity
from models.next_action.training.fit import Epoch, FitConfig, fit_net
from models.next_action.training.net_config import NetConfig
from models.next_action.training.recipe import Recipe, train
from models.tracking import RunsError, log_run
from ops.learning.training import TrainingOptions, run_training
from small_training import (
    IDLE_MS,
    NET,
    RECIPE,
    TREES,
    blended_training,
    small_cases,
    small_events,
    small_training,
)

pytestmark = pytest.mark.slow


def test_the_same_training_twice_gives_the_same_files_bit_for_bit() -> None:
    first, second = blended_training(), train({"small": small_cases()}, replace(RECIPE, trees=TREES))
    assert second.card.version == first.card.version
    assert second.card.encode() == first.card.encode()
    assert second.model == first.model


def test_another_seed_gives_another_network() -> None:
    recipe = replace(RECIPE, seed=4, fit=replace(RECIPE.fit, most_epochs=1))
    other = train({"small": small_cases()}, recipe)
    assert other.card.version != small_training().card.version


def test_a_trained_network_is_better_than_the_shares_of_the_classes() -> None:
    cases = small_cases()
    learnt, _, held_back = cases.split(*cases.boundaries(RECIPE.train, RECIPE.train + RECIPE.valid))
    shares = np.bincount(learnt.target, minlength=5) / len(learnt)
    guessed = class_losses(held_back.target, np.tile(shares, (len(held_back), 1))).mean()
    trained = small_training()
    predictor = Predictor(trained.model, trained.card)
    found = predictor.predict(*held_back.batch(np.arange(len(held_back))))
    probabilities = found.probabilities.astype(np.float64)
    assert class_losses(held_back.target, probabilities).mean() < 0.9 * guessed


def test_the_card_has_the_figures_of_what_was_held_back() -> None:
    card = small_training().card
    assert card.metrics.keys() == {"valid small", "test small"}
    assert card.training["shops"]["small"]["cases"] == len(small_cases())
    assert 0.0 < card.metrics["test small"]["log_loss"] < 1.6


def test_no_event_after_the_prefix_ever_changes_a_prediction() -> None:
    trained = small_training()
    predictor = Predictor(trained.model, trained.card)
    events, half = small_events(), len(small_events()) // 2
    until_ms = events[half].event_time_ms
    later = [
        event._replace(product_id="other", price_minor=1, event_type=events[0].event_type)
        for event in events[half + 1 :: 2]
        if event.event_time_ms > until_ms
    ]
    given = [
        prefixes_of([*events[: half + 1], *rest], idle_ms=IDLE_MS) for rest in (events[half + 1 :], later)
    ]
    known = [cases.select(cases.at_ms <= until_ms) for cases in given]
    keys = [np.lexsort((part.length, part.at_ms, part.context[:, 0], part.start_ms)) for part in known]
    found = [
        predictor.predict(*part.batch(order)).probabilities for part, order in zip(known, keys, strict=True)
    ]
    assert len(found[0]) == half + 1
    np.testing.assert_array_equal(found[0], found[1])


def test_calibration_takes_back_a_temperature_and_a_bias() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(0.0, 1.5, (20_000, 6)).astype(np.float32)
    chances = calibrated(true, identity())[0]
    target = (chances.cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1).clip(max=4)
    bought = rng.random(len(true)) < 1.0 / (1.0 + np.exp(-true[:, 5].astype(np.float64)))
    skewed = true * 3.0 + np.array([0.5, 0.0, 0.0, -0.5, 0.0, 2.0], dtype=np.float32)
    made = fit_calibration(skewed, target.astype(np.int64), bought)
    action, purchase = calibrated(skewed, made)
    assert expected_calibration_error(purchase.astype(np.float64), bought) < 0.02
    assert (
        expected_calibration_error(action.max(axis=1).astype(np.float64), action.argmax(axis=1) == target)
        < 0.02
    )
    np.testing.assert_allclose(made.scale, 1 / 3, atol=0.03)


def test_calibration_on_cases_without_a_purchase_rules_none_out() -> None:
    logits = np.random.default_rng(1).normal(-2.0, 1.0, (100, 6)).astype(np.float32)
    made = fit_calibration(logits, np.zeros(100, dtype=np.int64), np.zeros(100, dtype=np.bool_))
    action, purchase = calibrated(logits, made)
    assert purchase.min() > 1e-6
    assert purchase.mean() < 0.1
    assert action.min() > 1e-6


def test_the_best_epoch_is_kept_and_training_stops_without_progress() -> None:
    epochs: list[Epoch] = []
    cases = small_cases()
    learnt, checked, _ = cases.split(*cases.boundaries(0.3, 0.45))
    config = FitConfig(learning_rate=0.05, most_epochs=40, patience=1, average=0.5, warm_up_steps=1)
    net = replace(NET, kind="gru")
    fitted = fit_net(net, config, learnt, checked, seed=1, budget=None, on_epoch=epochs.append)
    assert fitted.history == epochs
    assert fitted.best == min(epochs, key=lambda epoch: epoch.loss)
    assert len(epochs) == fitted.best.number + 1 < 40


def test_batches_hold_every_case_once_and_like_lengths_together() -> None:
    lengths = np.random.default_rng(1).integers(1, 33, 5_000)
    batches = list(shuffled_batches(lengths, 64, np.random.default_rng(2)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(5_000))
    assert np.mean([np.ptp(lengths[batch]) for batch in batches]) < 3


def test_training_leaves_torch_as_it_was() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.get_rng_state()
    with deterministic(9):
        torch.rand(3)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_shares_and_shops_that_leave_nothing_to_learn_from_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shares of at most 1 together, got 0\.9 and 0\.2"):
        Recipe(NetConfig(), FitConfig(), train=0.9, valid=0.2)
    with pytest.raises(ValueError, match="empty has no events"):
        train({"empty": prefixes_of([], idle_ms=IDLE_MS)}, RECIPE)


def test_a_run_is_logged_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = log_run(tmp_path, "storepulse-test", "one", {"seed": 1}, {"loss": 0.5})
    assert orjson.loads(path.read_bytes()) == {"parameters": {"seed": 1}, "metrics": {"loss": 0.5}}


def test_a_tracking_uri_without_mlflow_is_an_error_and_the_folder_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_mlflow(name: str, *arguments: object) -> ModuleType:
        if name == "mlflow":
            raise ModuleNotFoundError(name)
        return real(name, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracked").as_uri())
    monkeypatch.setattr(builtins, "__import__", without_mlflow)
    with pytest.raises(RunsError, match=r"install storepulse\[mlflow\]"):
        log_run(tmp_path, "storepulse-test", "one", {"seed": 1}, {"loss": 0.5})
    assert (tmp_path / "one" / "metrics.json").is_file()


def test_a_run_is_logged_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra [mlflow]")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more than MLflow's client
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "tracked").as_uri())
    log_run(tmp_path, "storepulse-test", "one", {"seed": 1}, {"loss": 0.5})
    found = mlflow.search_runs(experiment_names=["storepulse-test"], output_format="list")
    assert [run.data.metrics for run in found] == [{"loss": 0.5}]


def test_the_command_trains_on_a_file_and_writes_an_artefact_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out, runs = tmp_path / "shop.jsonl", tmp_path / "model", tmp_path / "runs"
    file.write_bytes(b"".join(encode(event) + b"\n" for event in small_events()))
    assert run_training(TrainingOptions((file,), out, runs, kind="cnn", most_epochs=1)) == 0
    card = load(out).card
    assert card.version in capsys.readouterr().out
    assert "their terms apply" in card.licence
    assert (runs / f"next-action-{card.version}" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "transformer"}, "the kind of model must be one of blend, lstm, gru, bigru, cnn, cnn_bigru"),
        ({}, "give files with --events FILE..., or --simulate DAYS"),
        ({"simulated_days": 0.01, "profiles": ("bakery",)}, "a profile must be one of"),
    ],
)
def test_the_command_says_what_it_cannot_do(
    change: dict[str, object], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(TrainingOptions((), tmp_path / "model", tmp_path / "runs"), **change)  # type: ignore[arg-type]
    assert run_training(options) == 2
    assert words in capsys.readouterr().err


def test_a_written_artefact_is_read_back_the_same(tmp_path: Path) -> None:
    trained = small_training()
    write_artefact(tmp_path / "model", trained.model, trained.card)
    assert load(tmp_path / "model").card == trained.card
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["card.json", "model.onnx"]
