"""The comparison: its measures, its baselines, and what it says about what."""

import math
import random
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from contracts.events import Event
from models.evaluation.calibration import fit_calibration
from models.evaluation.metrics import (
    balanced_accuracy,
    class_losses,
    expected_calibration_error,
    macro_f1,
    pr_auc,
    reliability,
    roc_auc,
)
from models.next_action.actions import LEAVE_TARGET, TARGETS
from models.next_action.evaluation.chains import MarkovChain, last_ranks
from models.next_action.evaluation.comparison import compare
from models.next_action.evaluation.contender import Predictions, Row
from models.next_action.evaluation.fitting import Plan, Split
from models.next_action.evaluation.flat import flat_inputs, flat_names
from models.next_action.evaluation.metrics import measure
from models.next_action.evaluation.report import make_tables, to_plain
from models.next_action.evaluation.resampling import resample
from models.next_action.prefixes import PrefixSet, prefixes_of
from shoppers import make_event

pytestmark = pytest.mark.slow

CART, PURCHASE = TARGETS.index("cart"), TARGETS.index("purchase")


def make_shop(sessions: int = 300, seed: int = 1) -> PrefixSet:
    """Visitors view, half of them add, and who views the same product again before that buys."""
    rng = random.Random(seed)
    events: list[Event] = []
    for visitor in range(sessions):
        at_s, user = visitor * 600.0, f"u{visitor}"
        again = rng.random() < 0.5
        for product in ("a", "b", "b" if again else "c"):
            events.append(make_event("view", at_s, product, user=user))
            at_s += rng.randint(5, 60)
        if rng.random() < 0.5:
            events.append(make_event("cart", at_s, product, user=user))
            if again:
                events.append(make_event("purchase", at_s + 20, product, user=user))
    return prefixes_of(events, idle_ms=30 * 60_000)


@dataclass(slots=True)
class Told:
    """A contender that says the truth with a given certainty."""

    certainty: float
    parameters: int = 1
    fitted: int = 0

    def fit(self, train: PrefixSet, valid: PrefixSet, seed: int) -> None:
        self.fitted += len(train) + len(valid) + seed

    def predict(self, cases: PrefixSet) -> Predictions:
        action = np.full((len(cases), len(TARGETS)), (1 - self.certainty) / (len(TARGETS) - 1))
        action[np.arange(len(cases)), cases.target] = self.certainty
        return Predictions(action, np.where(cases.will_buy, self.certainty, 1 - self.certainty))


def test_areas_count_ties_as_chance_does() -> None:
    bought = np.array([True, False, True, False])
    assert roc_auc(bought, np.full(4, 0.5)) == 0.5
    assert pr_auc(bought, np.full(4, 0.5)) == 0.5
    assert roc_auc(bought, np.array([0.9, 0.1, 0.8, 0.2])) == 1
    assert pr_auc(bought, np.array([0.9, 0.1, 0.3, 0.5])) == pytest.approx((1 + 2 / 3) / 2)
    assert roc_auc(bought, np.array([0.9, 0.1, 0.3, 0.5])) == 0.75


def test_areas_without_both_kinds_are_no_number() -> None:
    assert math.isnan(roc_auc(np.array([True, True]), np.array([0.1, 0.2])))
    assert math.isnan(pr_auc(np.array([False, False]), np.array([0.1, 0.2])))
    assert math.isnan(pr_auc(np.array([], dtype=bool), np.array([])))


def test_a_weight_counts_a_case_as_often() -> None:
    bought, score = np.array([True, False, True]), np.array([0.9, 0.5, 0.4])
    weight = np.array([1.0, 2.0, 3.0])
    repeated = np.repeat(np.arange(3), [1, 2, 3])
    assert pr_auc(bought, score, weight) == pytest.approx(pr_auc(bought[repeated], score[repeated]))


def test_means_are_over_the_classes_that_occur() -> None:
    target, chosen = np.array([0, 0, 0, 4]), np.array([0, 0, 4, 4])
    assert balanced_accuracy(target, chosen) == pytest.approx((2 / 3 + 1) / 2)
    assert macro_f1(target, chosen) == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_promise_that_is_kept_has_no_calibration_error() -> None:
    happened = np.arange(1_000) % 4 == 0
    assert expected_calibration_error(np.full(1_000, 0.25), happened) < 0.02
    assert expected_calibration_error(np.full(1_000, 0.75), happened) == pytest.approx(0.5)
    points = reliability(np.linspace(0, 1, 1_000), happened)
    assert [size for _, _, size in points] == [67] * 10 + [66] * 5


def test_no_answer_costs_without_bound() -> None:
    assert class_losses(np.array([1]), np.array([[1.0, 0.0, 0.0, 0.0, 0.0]]))[0] < 17


def test_calibration_takes_certainty_back_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(1)
    honest = rng.dirichlet(np.ones(5), size=4_000)
    target = np.array([rng.choice(5, p=row) for row in honest])
    sharp = honest**3 / (honest**3).sum(axis=1, keepdims=True)
    calibration = fit_calibration(sharp, target)
    assert calibration.scale == pytest.approx(1 / 3, abs=0.03)
    np.testing.assert_allclose(calibration.apply(sharp), honest, atol=0.08)
    unchanged = fit_calibration(honest, target)
    assert unchanged.scale == pytest.approx(1, abs=0.06)


def test_few_cases_hardly_bend_probabilities() -> None:
    few = np.full((3, 5), 0.2)
    np.testing.assert_allclose(fit_calibration(few, np.array([4, 4, 4])).apply(few), 0.2, atol=0.08)
    assert fit_calibration(few[:0], np.array([], dtype=np.int64)).scale == 1


def test_the_last_actions_are_newest_first_and_end_where_the_session_began() -> None:
    cases = prefixes_of(
        [make_event("view", 0), make_event("cart", 5), make_event("view", 9_000)], idle_ms=1_800_000
    )
    assert last_ranks(cases, 3).tolist() == [[0, 5, 5], [2, 0, 5], [0, 5, 5]]


def test_chains_know_what_follows_their_last_actions() -> None:
    cases = make_shop()
    chain = MarkovChain(1)
    chain.fit(cases, cases, 0)
    action, purchase = chain.predict(cases)
    np.testing.assert_allclose(action.sum(axis=1), 1)
    after_cart = last_ranks(cases, 1)[:, 0] == 2
    truth = np.bincount(cases.target[after_cart], minlength=5) / after_cart.sum()
    np.testing.assert_allclose(action[after_cart][0], truth, atol=0.05)
    assert purchase[after_cart][0] == pytest.approx(cases.will_buy[after_cart].mean(), abs=0.05)


def test_longer_chains_know_more_and_the_majority_says_one_thing() -> None:
    cases = make_shop()
    losses = []
    for order in (0, 1, 3):
        chain = MarkovChain(order)
        chain.fit(cases, cases, 0)
        losses.append(measure(cases, chain.predict(cases))["log_loss"])
    assert losses == sorted(losses, reverse=True)
    majority = MarkovChain(0)
    majority.fit(cases, cases, 0)
    assert len(np.unique(majority.predict(cases).action, axis=0)) == 1


def test_a_state_never_seen_is_answered_by_a_shorter_one() -> None:
    chain = MarkovChain(2)
    cases = make_shop()
    chain.fit(cases, cases, 0)
    unseen = prefixes_of([make_event("favorite", 0), make_event("favorite", 3)], idle_ms=1_800_000)
    action, _ = chain.predict(unseen)
    prior = np.bincount(cases.target, minlength=5) / len(cases)
    np.testing.assert_allclose(action[1], prior, atol=0.01)


def test_boosted_trees_find_what_chains_cannot_see() -> None:
    pytest.importorskip("lightgbm", reason="the extra [train] is not installed")
    from models.next_action.evaluation.trees import BoostedTrees

    split = Split.of(make_shop(900), 0.6, 0.2)
    chain, trees = MarkovChain(3), BoostedTrees()
    figures = []
    for contender in (chain, trees):
        contender.fit(split.train, split.valid, 1)
        figures.append(measure(split.test, contender.predict(split.test)))
    assert figures[1]["purchase_pr_auc"] > figures[0]["purchase_pr_auc"] + 0.1
    action, purchase = trees.predict(split.test)
    np.testing.assert_allclose(action.sum(axis=1), 1)
    alone = trees.predict(split.test.select(slice(5, 6)))
    np.testing.assert_allclose(alone.action[0], action[5])
    np.testing.assert_allclose(alone.purchase[0], purchase[5])
    assert trees.parameters > 10


def test_the_same_model_does_not_differ_from_itself_and_a_better_one_does() -> None:
    cases = make_shop(200)
    good, bad = Told(0.9), Told(0.5)
    scores = [resample(cases, [one.predict(cases)], rounds=200) for one in (good, bad)]
    loss, area = scores[0].minus(scores[0])
    assert loss == area == (0, 0, 0)
    loss, _ = scores[0].minus(scores[1])
    assert loss.low <= loss.value <= loss.high < 0
    assert loss.excludes_zero


def test_every_seed_is_a_row_in_the_mean_and_chains_are_fitted_once() -> None:
    split = Split.of(make_shop(), 0.6, 0.2)
    told: list[tuple[str, int, int]] = []

    def told_once(name: str, done: int, total: int) -> None:
        told.append((name, done, total))

    rows = {"majority": Row(partial(MarkovChain, 0), seeded=False), "seeded": Row(partial(Told, 0.8))}
    scores = compare(split, rows, plan=Plan([0, 1, 2], tries=1), progress=told_once)
    assert told == [("majority", 0, 2), ("seeded", 1, 2), ("", 2, 2)]
    assert [len(score.test["log_loss"]) for score in scores] == [1, 3]
    assert scores[1].sd("log_loss") == 0
    plain = to_plain(split, scores, scores[1])
    assert [model["seeds"] for model in plain["models"]] == [1, 3]
    slices = plain["models"][1]["slices"]
    assert slices["1 action"]["cases"] == plain["parts"]["test"]["sessions"]
    assert slices["2 actions"]["log_loss"] == pytest.approx(-math.log(0.8), abs=1e-6)
    assert plain["models"][0]["versus_reference"]["log_loss"]["low"] > 0
    assert plain["parts"]["test"]["targets"]["leave"] == int((split.test.target == LEAVE_TARGET).sum())
    for width, tables in ((200, 1), (90, 2)):
        made = make_tables("a shop", split, scores, scores[1], width=width)
        assert [table.row_count for table in made] == [2] * tables


def test_every_row_tries_its_settings_on_validation_and_says_what_it_chose() -> None:
    split = Split.of(make_shop(), 0.6, 0.2)
    rows = {
        "told": Row(Told, tuple({"certainty": certainty} for certainty in (0.3, 0.9, 0.6, 0.99))),
        "chain": Row(partial(MarkovChain, 1), seeded=False),
    }
    scores = compare(split, rows, plan=Plan([0, 1], tries=3), progress=lambda *_: None)
    assert [score.fits.tried for score in scores] == [3, 1]
    assert scores[0].fits.settings == {"certainty": 0.9}
    assert scores[0].test["log_loss"] == pytest.approx([-math.log(0.9)] * 2, abs=1e-6)
    plain = to_plain(split, scores, scores[0])["models"][0]
    assert (plain["tried"], plain["settings"]) == (3, {"certainty": 0.9})


def test_rows_fitted_at_once_are_as_if_fitted_one_by_one() -> None:
    split = Split.of(make_shop(), 0.6, 0.2)
    rows = {f"markov-{n}": Row(partial(MarkovChain, n), seeded=False) for n in (1, 2)}
    alone, together = (
        compare(split, rows, plan=Plan([0], 1, jobs), progress=lambda *_: None) for jobs in (1, 2)
    )
    assert [(score.name, score.test) for score in alone] == [(score.name, score.test) for score in together]


def test_a_blend_is_no_worse_on_validation_than_either_part() -> None:
    split = Split.of(make_shop(900), 0.6, 0.2)
    rows = {f"markov-{n}": Row(partial(MarkovChain, n), seeded=False) for n in (1, 3)}
    blends = {"blend": ("markov-1", "markov-3")}
    *parts, blend = compare(split, rows, blends, plan=Plan([0], 1), progress=lambda *_: None)
    assert blend.name == "blend"
    for metric in ("log_loss", "purchase_log_loss"):
        assert blend.valid[metric][0] <= min(part.valid[metric][0] for part in parts) + 1e-4
    said = blend.fits.test[0]
    np.testing.assert_allclose(said.action.sum(axis=1), 1)
    assert ((said.purchase >= 0) & (said.purchase <= 1)).all()
    assert set(blend.fits.settings) == {"weight_of_action", "weight_of_purchase"}


def test_models_without_a_sequence_read_all_that_networks_read() -> None:
    cases = make_shop(20).with_rates()
    rows, names = flat_inputs(cases), flat_names(cases.context.shape[1])
    assert rows.shape == (len(cases), len(names))
    steps, lengths, context = cases.batch(slice(None))
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(rows[i, : context.shape[1]], context[i])
        own = rows[i, context.shape[1] :].reshape(-1, steps.shape[2])
        np.testing.assert_array_equal(own[:length], steps[i, :length][::-1])
        assert not own[length:].any()
    assert names[context.shape[1]] == "is_view_1"


def test_the_linear_baseline_finds_what_chains_cannot_see() -> None:
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    from models.next_action.evaluation.linear import LinearModel

    split = Split.of(make_shop(900), 0.6, 0.2)
    chain, linear = MarkovChain(3), LinearModel()
    figures = []
    for contender in (chain, linear):
        contender.fit(split.train, split.valid, 1)
        figures.append(measure(split.test, contender.predict(split.test)))
    assert figures[1]["purchase_pr_auc"] > figures[0]["purchase_pr_auc"] + 0.1


@pytest.mark.parametrize(("train", "valid"), [(0.0, 0.1), (0.9, 0.1), (1.2, 0.1), (0.5, -0.1)])
def test_shares_must_leave_some_to_test(train: float, valid: float) -> None:
    with pytest.raises(ValueError, match="train and valid must be shares and leave some to test"):
        Split.of(make_shop(10), train, valid)


def test_too_few_events_are_said_to_be_too_few() -> None:
    with pytest.raises(ValueError, match="no events"):
        Split.of(prefixes_of([], idle_ms=1), 0.6, 0.1)
    with pytest.raises(ValueError, match=r"in the train part \(needs 50 sessions that are over, has 1\)"):
        Split.of(prefixes_of([make_event("view", 0), make_event("view", 9_000)], idle_ms=1_000), 0.6, 0.1)


def test_classes_that_train_never_saw_get_hardly_any_probability() -> None:
    pytest.importorskip("lightgbm", reason="the extra [train] is not installed")
    from models.next_action.evaluation.trees import BoostedTrees

    split = Split.of(make_shop(), 0.6, 0.2)
    trees = BoostedTrees()
    trees.fit(split.train, split.valid, 0)
    action, _ = trees.predict(split.test)
    assert action[:, TARGETS.index("remove_from_cart")].max() < 1e-4
    assert action[:, [CART, PURCHASE]].max() > 0.4
