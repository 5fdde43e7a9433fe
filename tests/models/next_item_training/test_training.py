"""Training session networks: the same twice, better than guessing, and served as torch has it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import embedding, normalize

from models.artefacts.card import ArtefactError
from models.fitting import deterministic
from models.next_item import network
from models.next_item.cases import known_cases_of
from models.next_item.item_table import ITEMS_FILE
from models.next_item.sessions import UNKNOWN, sessions_of, split_by_time
from models.next_item.training.contender import NetworkModel
from models.next_item.training.export import Artefact, make_artefact
from models.next_item.training.fit import Fitted, fit_net, ranks_of
from models.next_item.training.net_config import NET_KINDS, FitConfig, NetKind
from models.next_item.training.nets import SessionNet
from small_sessions import FIT, N_ITEMS, NET, small_fitted, small_sessions

pytestmark = pytest.mark.slow


def artefact_of(fitted: Fitted) -> Artefact:
    ids = np.array([f"shoe-{code}" for code in range(N_ITEMS)])
    cases = known_cases_of(small_sessions(), fitted.net.config.length)
    return make_artefact(fitted, ids, cases, config={}, training={"seed": 3})


def recall_at_5(fitted: Fitted) -> float:
    _, held_back = split_by_time(small_sessions(), 0.1)
    return float((ranks_of(fitted.net, known_cases_of(held_back, 6), fitted.counts) <= 5).mean())


def test_the_same_training_twice_gives_the_same_network() -> None:
    again = fit_net(small_sessions(), NET, FIT, seed=3)
    for name, weights in small_fitted().net.state_dict().items():
        torch.testing.assert_close(again.net.state_dict()[name], weights, rtol=0.0, atol=1e-6)
    assert [epoch.ndcg for epoch in again.history] == pytest.approx(
        [epoch.ndcg for epoch in small_fitted().history], nan_ok=True
    )


def test_another_seed_gives_another_network() -> None:
    other = fit_net(small_sessions(), NET, replace(FIT, most_epochs=1, refit=False), seed=4)
    assert not torch.equal(other.net.items, small_fitted().net.items)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_a_network_learns_what_comes_next(kind: NetKind) -> None:
    train, _ = split_by_time(small_sessions(), 0.1)
    fitted = fit_net(train, replace(NET, kind=kind), FIT, seed=1)
    losses = [epoch.train_loss for epoch in fitted.history if not np.isnan(epoch.ndcg)]
    assert losses[-1] < losses[0]
    assert recall_at_5(fitted) > 0.6  # five items drawn at random: 0.08; those of the right group: 0.5


@pytest.mark.parametrize(
    "change",
    [
        {"loss": "full"},
        {"log_q": False},
        {"uniformity": 0.1},
        {"action_weights": (1.0, 2.0, 4.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_losses_learn_too(change: dict) -> None:
    train, _ = split_by_time(small_sessions(), 0.1)
    assert recall_at_5(fit_net(train, NET, replace(FIT, refit=False, **change), seed=1)) > 0.6


def test_a_refit_learns_from_the_newest_sessions_for_as_many_epochs() -> None:
    fitted = small_fitted()
    validated = [epoch for epoch in fitted.history if not np.isnan(epoch.ndcg)]
    refitted = [epoch for epoch in fitted.history if np.isnan(epoch.ndcg)]
    assert len(refitted) == fitted.best.number <= len(validated)
    assert fitted.counts.sum() == len(small_sessions().items)


def test_items_that_training_lacks_are_ranked_last() -> None:
    train = split_by_time(small_sessions(), 0.625)[0]._replace(n_items=N_ITEMS + 1)
    fitted = fit_net(train, NET, replace(FIT, most_epochs=1, refit=False), seed=1)
    seen, never = int(train.items[0]), N_ITEMS
    ranks = ranks_of(fitted.net, known_cases_of(sessions_of([[seen, never]], N_ITEMS + 1), 6), fitted.counts)
    assert ranks.tolist() == [N_ITEMS + 1]


def test_too_few_sessions_are_named() -> None:
    with pytest.raises(ValueError, match="no sessions of two or more items to learn from"):
        fit_net(sessions_of([[1]] * 9 + [[2]], 3), NET, FIT, seed=1)


@pytest.mark.parametrize("kind", NET_KINDS)
def test_padding_never_matters(kind: NetKind) -> None:
    with deterministic(1):
        net = SessionNet(N_ITEMS, replace(NET, kind=kind)).eval()
        vectors, lengths = torch.randn(3, 6, NET.width), torch.tensor([1, 4, 6])
        inside = torch.arange(6)[None, :] < lengths[:, None]
        with torch.inference_mode():
            found = net.encoder(vectors, lengths)
            other = net.encoder(torch.where(inside[:, :, None], vectors, 9.0), lengths)
            alone = net.encoder(vectors[:1, :1], lengths[:1])
    torch.testing.assert_close(other, found)
    torch.testing.assert_close(alone, found[:1])


@pytest.mark.parametrize("kind", NET_KINDS)
def test_the_exported_network_scores_as_torch_does(kind: NetKind) -> None:
    config = replace(FIT, most_epochs=1, refit=False)
    fitted = fit_net(small_sessions(), replace(NET, kind=kind), config, seed=1)
    made = artefact_of(fitted)
    cases = known_cases_of(small_sessions(), NET.length).take(np.arange(0, 2_000, 13))
    rows, lengths = cases.rows()
    with torch.inference_mode():
        table = normalize(fitted.net.items, dim=1)
        vectors = fitted.net.encoder(embedding(torch.from_numpy(rows), table), torch.from_numpy(lengths))
        expected = (vectors @ table.T).numpy()
    served = network.SessionNetwork(made.model, made.card, made.table)
    np.testing.assert_allclose(served.scores(cases.prefixes()), expected, atol=1e-5)


def test_an_artefact_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = artefact_of(small_fitted())
    made.write(tmp_path)
    read = network.load(tmp_path)
    assert read.card == made.card
    assert read.items.ids[5] == "shoe-5"
    assert made.card.metrics["valid"]["recall@20"] == round(small_fitted().best.recall, 5)


def test_items_of_another_model_are_refused(tmp_path: Path) -> None:
    made = artefact_of(small_fitted())
    made.write(tmp_path)
    (tmp_path / ITEMS_FILE).write_bytes(made.table._replace(counts=made.table.counts + 1).encode())
    with pytest.raises(ArtefactError, match=r"items\.npz does not belong to its card"):
        network.load(tmp_path)


def test_prefixes_of_unknown_items_are_answered_by_popularity() -> None:
    made = artefact_of(small_fitted())
    served = network.SessionNetwork(made.model, made.card, made.table)
    known, unknown = np.array([3, 4], np.int32), np.array([UNKNOWN], np.int32)
    mixed = np.array([3, UNKNOWN, 4], np.int32)
    scores = served.scores([known, unknown, mixed])
    assert scores[1].argmax() == made.table.counts.argmax()
    np.testing.assert_array_equal(scores[0], scores[2])


def test_prefixes_of_any_length_are_answered_together_as_alone() -> None:
    made = artefact_of(small_fitted())
    served = network.SessionNetwork(made.model, made.card, made.table)
    rng = np.random.default_rng(5)
    prefixes = [rng.integers(0, N_ITEMS, length).astype(np.int32) for length in rng.integers(1, 30, 300)]
    together = served.scores(prefixes)
    alone = np.concatenate([served.scores([prefix]) for prefix in prefixes[::10]])
    np.testing.assert_allclose(together[::10], alone, atol=1e-6)
    np.testing.assert_array_equal(together[::10].argsort(axis=1)[:, -20:], alone.argsort(axis=1)[:, -20:])


def test_a_model_of_the_comparison_scores_in_onnxruntime() -> None:
    model = NetworkModel(NET, replace(FIT, most_epochs=1, refit=False), seed=3)
    model.fit(small_sessions())
    scores = model.scores([np.array([3], np.int32), np.arange(20, dtype=np.int32)])
    assert scores.shape == (2, N_ITEMS)
    assert np.isfinite(scores).all()


def test_no_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="most_epochs must be at least 1, got 0"):
        fit_net(small_sessions(), NET, FitConfig(most_epochs=0), seed=1)
