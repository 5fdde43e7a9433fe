"""Every prediction is judged once, by what the visitor then did, and the counters only add."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerted_visitor import DAY_S, RULES, AlertedVisitor, at, by_digest, histories, make_score
from contracts.alerts import FLAT_KINDS
from contracts.buckets import bucket_start
from contracts.scores import ALL_JUDGED
from contracts.visitor import Action
from models.quality import (
    NO_MODEL,
    add_up,
    alert_figures,
    bin_of,
    by_version,
    lead_bin,
    lead_percentile_s,
    next_action_figures,
    purchase_figures,
)
from shoppers import make_action
from stream.scoring.prequential import MAX_WAITING, expect

CHURN, ABANDONED = FLAT_KINDS


def counts_of(alerted: AlertedVisitor, version: str = "m-1") -> dict[str, int]:
    """The counters of a model version, all minutes together."""
    return by_version(add_up(alerted.tally.minutes.values())).get(version, {})


def test_a_prediction_is_judged_by_the_next_action() -> None:
    alerted = AlertedVisitor(lambda _: 0.2)
    alerted.act(make_action("view", 0))
    assert not alerted.tally.minutes
    alerted.act(make_action("favorite", 60))
    figures = next_action_figures(counts_of(alerted))
    assert (figures.n, figures.accuracy) == (1, 1.0)  # a favourite counts as a view
    assert figures.actual["view"] == 1
    assert figures.log_loss == pytest.approx(0.356675, abs=1e-6)  # -log(0.7)
    assert list(alerted.tally.minutes) == [bucket_start(at(60), "minute")]
    assert alerted.tally.errors == [pytest.approx(0.3)]


def test_a_prediction_without_a_further_action_was_of_leaving() -> None:
    alerted = AlertedVisitor(lambda _: 0.2)
    alerted.act(make_action("view", 0))
    alerted.pass_time(at(1_800))
    assert not alerted.tally.minutes
    alerted.pass_time(at(1_801))
    alerted.pass_time(at(1_802))
    figures = next_action_figures(counts_of(alerted))
    assert (figures.n, figures.accuracy, figures.actual["leave"]) == (1, 0.0, 1)
    assert list(alerted.tally.minutes) == [bucket_start(at(1_800), "minute")]


def test_an_action_of_the_next_session_judges_the_last_one_as_left() -> None:
    alerted = AlertedVisitor(lambda _: 0.2)
    alerted.act(make_action("view", 0))
    alerted.act(make_action("cart", 2_000))
    assert next_action_figures(counts_of(alerted)).actual["leave"] == 1
    assert purchase_figures(counts_of(alerted)).rate == 0


def test_a_purchase_answers_all_predictions_of_the_session_before_it() -> None:
    chance = iter([0.25, 0.5, 0.75, 0.1])
    alerted = AlertedVisitor(lambda _: next(chance))
    for second, kind in enumerate(["view", "cart", "view", "purchase"]):
        alerted.act(make_action(kind, second, "a"))
    figures = purchase_figures(counts_of(alerted))
    assert (figures.n, figures.rate) == (3, 1.0)
    assert figures.brier == pytest.approx((0.75**2 + 0.5**2 + 0.25**2) / 3, abs=1e-6)
    alerted.pass_time(at(DAY_S))
    figures = purchase_figures(counts_of(alerted))
    assert (figures.n, figures.rate) == (4, 0.75)
    assert [(point.n, point.predicted, point.observed) for point in figures.reliability] == [
        (1, 0.1, 0.0), (1, 0.25, 1.0), (1, 0.5, 1.0), (1, 0.75, 1.0),
    ]  # fmt: skip
    assert figures.ece == pytest.approx((0.1 + 0.75 + 0.5 + 0.25) / 4)


def test_a_late_purchase_in_the_session_still_answers_its_predictions() -> None:
    alerted = AlertedVisitor(lambda _: 0.5)
    alerted.act(make_action("view", 0))
    alerted.act(make_action("view", 60))
    alerted.act(make_action("purchase", 30))
    assert purchase_figures(counts_of(alerted)).rate == 1


def test_a_late_action_judges_no_next_action() -> None:
    alerted = AlertedVisitor(lambda _: 0.5)
    alerted.act(make_action("view", 60))
    alerted.act(make_action("cart", 30))
    assert next_action_figures(counts_of(alerted)).n == 0
    alerted.act(make_action("view", 90))
    assert next_action_figures(counts_of(alerted)).actual == {
        "view": 2, "cart": 0, "remove_from_cart": 0, "purchase": 0, "leave": 0,
    }  # fmt: skip


def test_each_model_version_answers_for_its_own() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("view", 0))
    assert alerted.visitor is not None
    old = make_score(alerted.visitor.head, 0.2, version="old")
    alerted.unjudged = expect(alerted.unjudged, alerted.visitor, old)
    alerted.act(make_action("view", 10))
    alerted.unjudged = expect(
        alerted.unjudged, alerted.visitor, make_score(alerted.visitor.head, 0.9, version="new")
    )
    alerted.act(make_action("purchase", 20))
    assert [purchase_figures(counts_of(alerted, name)).n for name in ("old", "new")] == [1, 1]
    assert next_action_figures(counts_of(alerted, "new")).actual["purchase"] == 1


def test_a_robots_late_events_wait_in_bounded_room() -> None:
    alerted = AlertedVisitor(lambda _: 0.5)
    alerted.act(make_action("view", 1_000))
    for second in range(50):
        alerted.act(make_action("view", second))
    assert len(alerted.unjudged.waiting) == MAX_WAITING == alerted.n_scored


def test_what_is_scored_after_the_end_of_the_session_is_not_expected() -> None:
    alerted = AlertedVisitor(lambda _: 0.5)
    alerted.act(make_action("view", 10))
    alerted.pass_time(at(DAY_S))
    alerted.act(make_action("view", 0))
    assert not alerted.unjudged.waiting
    assert not alerted.unjudged.pending


def test_alerts_that_expire_were_right_and_their_lead_is_what_marketing_had() -> None:
    alerted = AlertedVisitor(lambda _: 0.05)
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("view", 60))
    alerted.pass_time(at(3 * DAY_S))
    alerted.act(make_action("cart", 5 * DAY_S, "a"))
    alerted.act(make_action("purchase", 5 * DAY_S + 30, "a"))
    alerted.pass_time(at(9 * DAY_S))
    churn = alert_figures(counts_of(alerted), CHURN)
    assert (churn.fired, churn.expired, churn.resolved, churn.precision) == (2, 1, 1, 0.5)
    assert (churn.recall, churn.base_rate) == (1.0, 0.5)
    assert (churn.lead_mean_s, churn.wait_mean_s) == (1_860, 30)
    abandoned = alert_figures(counts_of(alerted), ABANDONED)
    assert (abandoned.fired, abandoned.expired, abandoned.recall) == (1, 1, 1.0)


def test_lost_carts_without_an_alert_lower_the_recall_but_sold_ones_do_not() -> None:
    alerted = AlertedVisitor(lambda _: 0.9)
    for day in range(4):
        alerted.act(make_action("cart", day * DAY_S, "a"))
        if day < 2:
            alerted.act(make_action("purchase", day * DAY_S + 9, "a"))
    alerted.pass_time(at(9 * DAY_S))
    figures = alert_figures(counts_of(alerted), CHURN)
    assert (figures.recall, figures.base_rate, figures.precision) == (0.0, 0.5, None)


def test_figures_of_nothing_are_none_and_not_zero() -> None:
    figures = next_action_figures({})
    assert (figures.n, figures.accuracy, figures.macro_f1, figures.ece) == (0, None, None, None)
    assert purchase_figures({}).brier is None
    assert alert_figures({}, CHURN).lead_p50_s is None


def test_macro_f1_is_over_the_classes_that_occur() -> None:
    figures = next_action_figures({"x00": 6, "x01": 2, "x11": 2})
    assert figures.accuracy == 0.8
    assert figures.macro_f1 == pytest.approx((12 / 14 + 4 / 6) / 2)


def test_percentiles_of_the_lead_lie_within_their_bin() -> None:
    assert [lead_bin(ms) for ms in (0, 59_999, 60_000, 3_599_999, 3_600_000, 10**9)] == [0, 0, 1, 8, 9, 9]
    assert lead_percentile_s([0, 10, 0, 0, 0, 0, 0, 0, 0, 0], 0.5) == 90
    assert lead_percentile_s([5, 0, 0, 5, 0, 0, 0, 0, 0, 0], 0.9) == pytest.approx(276)
    assert lead_percentile_s([0, 0, 0, 0, 0, 0, 0, 0, 0, 3], 0.1) == 3_600


def test_bins_are_tenths_and_one_belongs_to_the_last() -> None:
    assert [bin_of(parts) for parts in (0, 999, 1_000, 9_999, 10_000)] == [0, 0, 1, 9, 9]


# -- properties ------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(max_examples=150)
@given(histories(), st.permutations(range(14)))
def test_every_scored_prediction_is_judged_exactly_once(actions: list[Action], order: list[int]) -> None:
    alerted = AlertedVisitor(by_digest)
    for i in order:
        if i < len(actions):
            alerted.act(actions[i])
    alerted.pass_time(at(60 * DAY_S))
    counts = counts_of(alerted)
    assert next_action_figures(counts).n == alerted.n_scored == purchase_figures(counts).n
    assert len(alerted.tally.errors) == alerted.n_scored
    assert alerted.unjudged._replace(version="", closed=0) == ALL_JUDGED


@pytest.mark.slow
@settings(max_examples=150)
@given(histories())
def test_in_order_every_action_is_the_answer_to_the_prediction_before_it(actions: list[Action]) -> None:
    alerted = AlertedVisitor(by_digest)
    for action in actions:
        alerted.act(action)
    alerted.pass_time(at(60 * DAY_S))
    assert alerted.visitor is not None
    figures = next_action_figures(counts_of(alerted))
    sessions = alerted.visitor.head.number
    assert figures.n == len(actions)
    assert figures.actual["leave"] == sessions
    purchases = [action for action in actions if action.rank == 4]
    firsts = [a for i, a in enumerate(actions) if i == 0 or a.at_ms - actions[i - 1].at_ms > RULES.idle_ms]
    assert figures.actual["purchase"] == len(purchases) - sum(first.rank == 4 for first in firsts)


@pytest.mark.slow
@settings(max_examples=150)
@given(histories(), st.randoms(use_true_random=False))
def test_counters_come_to_the_same_under_any_split_into_batches(
    actions: list[Action], chance: random.Random
) -> None:
    whole, split = AlertedVisitor(), AlertedVisitor()
    whole.act(*actions)
    rest = list(actions)
    while rest:
        size = chance.randint(1, len(rest))
        split.act(*rest[:size])
        del rest[:size]
    for alerted in (whole, split):
        alerted.pass_time(at(60 * DAY_S))
    assert whole.tally.minutes == split.tally.minutes
    assert whole.tally.minutes.keys() == {k for k, v in whole.tally.minutes.items() if v}


@given(st.lists(st.dictionaries(st.sampled_from(["x00", "l", "sl"]), st.integers(0, 2**60))), st.randoms())
def test_sums_over_partitions_are_exact_in_any_order(
    buckets: list[dict[str, int]], chance: random.Random
) -> None:
    shuffled = list(buckets)
    chance.shuffle(shuffled)
    assert add_up(shuffled) == add_up(buckets)
    cut = len(buckets) // 2
    assert add_up([add_up(buckets[:cut]), add_up(buckets[cut:])]) == add_up(buckets)


def test_sessions_no_model_saw_are_counted_under_no_model() -> None:
    alerted = AlertedVisitor()
    alerted.act(make_action("cart", 0, "a"))
    alerted.pass_time(at(9 * DAY_S))
    assert alert_figures(counts_of(alerted, NO_MODEL), ABANDONED).recall == 1
