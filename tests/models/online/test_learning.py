"""Learning from answers: what is said before an answer knows nothing of it, and sums of partitions add up."""

import numpy as np
import pytest

from models.next_action.features import CONTEXT_FEATURES, STEP_FEATURES
from models.online.blob import InvalidLearned, Learned, add_up, pack_learned, unpack_learned
from models.online.learning import UNKNOWN, Answers, learn
from models.online.members import Opinions, ask_members, cases_of
from models.online.publishing import FEWEST_JUDGED, Publisher, Source, figures_of, published, source_of
from models.online.records import (
    NO_ACTION,
    RECORD,
    Records,
    fill_records,
    make_records,
    read_records,
    split_records,
)
from models.online.sums import INPUTS, MEMBERS, SIZE, forget_model, nothing_learnt, sums_in

PLACE = {name: place for place, name in enumerate(MEMBERS)}
VIEW, CART, LEAVE = 0, 1, 4


def make(n: int, *, seed: int = 1, said: tuple[float, ...] = (0.2, 0.2, 0.2, 0.2, 0.2, 0.5)) -> Records:
    """Records with aggregates and last actions drawn at random."""
    rng = np.random.default_rng(seed)
    records = np.zeros(n, dtype=RECORD)
    records["chain"] = rng.integers(0, 720, n)
    records["weight"] = 1
    context = rng.uniform(0, 3, (n, len(CONTEXT_FEATURES))).astype(np.float32)
    return fill_records(records, context, np.tile(said[:5], (n, 1)), np.full(n, said[5]))


def draw(records: Records, seed: int = 2) -> Answers:
    """Next actions and purchases that depend on the first two aggregates; one in ten buys."""
    rng = np.random.default_rng(seed)
    stays = rng.random(len(records)) < 0.02 * (records["aggregates"][:, 0] - 63.0)
    buys = rng.random(len(records)) < np.clip(0.008 * (records["aggregates"][:, 1] - 75.5), 0, 1)
    return Answers(np.where(stays, VIEW, LEAVE), buys.astype(np.int64))


def ask(vector: np.ndarray, records: Records) -> Opinions:
    return ask_members(sums_in(vector), cases_of(records))


def test_who_has_learnt_nothing_publishes_the_model_as_it_is() -> None:
    records = make(5, said=(0.5, 0.1, 0.1, 0.1, 0.2, 0.3))
    opinions = ask(nothing_learnt(), records)
    said = published(sums_in(nothing_learnt()), opinions)
    np.testing.assert_allclose(said, np.tile([0.5, 0.1, 0.1, 0.1, 0.2, 0.3], (5, 1)), atol=1e-9)
    np.testing.assert_allclose(opinions.members[PLACE["calibrated"]], opinions.members[PLACE["model"]])


def test_every_member_gives_probabilities_whatever_was_learnt() -> None:
    records = make(600)
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    opinions = ask(vector, make(50, seed=7))
    np.testing.assert_allclose(opinions.members[:, :, :5].sum(2), 1.0)
    np.testing.assert_allclose(opinions.mixed[:, :5].sum(1), 1.0)
    assert (opinions.members[:, :, 5] > 0).all()
    assert (opinions.members[:, :, 5] < 1).all()


def test_a_model_that_is_wrong_in_this_shop_is_outvoted_and_calibrated() -> None:
    records = make(3_000, said=(0.05, 0.05, 0.05, 0.8, 0.05, 0.9))
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    figures = figures_of(sums_in(vector))
    for task in figures.values():
        loss = {name: member.log_loss for name, member in task.members.items()}
        assert task.source is not Source.MODEL
        assert None not in loss.values()
        assert loss["calibrated"] < loss["base_rates"] + 0.1 < loss["model"]  # type: ignore[operator]
        assert loss["mixture"] <= min(loss[name] for name in MEMBERS) + 0.02  # type: ignore[type-var, operator]
        assert task.members["model"].weight < 0.001  # type: ignore[operator]
    assert figures["next_action"].source is Source.MIXTURE
    asked = make(1_000, seed=9)
    chance = published(sums_in(vector), ask(vector, asked))[:, 5]
    assert chance.mean() == pytest.approx(0.1, abs=0.03)


def test_the_regression_learns_what_the_tables_cannot_tell() -> None:
    records = make(4_000)
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    sums = sums_in(vector)
    next_action = sums.losses[:, 0] / sums.judged[0]
    assert next_action[PLACE["regression"]] < next_action[PLACE["actions"]] - 0.005
    assert next_action[PLACE["actions"]] == pytest.approx(next_action[PLACE["base_rates"]], abs=0.05)


def test_an_answer_changes_nothing_that_was_said_before_it() -> None:
    records = make(64)
    answers = draw(records)
    other = Answers(np.roll(answers.targets, 1), 1 - answers.buys)
    first, second = (learn(nothing_learnt(), nothing_learnt(), records, each) for each in (answers, other))
    assert not np.array_equal(first, second)
    before = learn(
        nothing_learnt(), nothing_learnt(), records[:16], Answers(*(part[:16] for part in answers))
    )
    mixed = Answers(
        np.concatenate([answers.targets[:16], other.targets[16:]]),
        np.concatenate([answers.buys[:16], other.buys[16:]]),
    )
    again = learn(nothing_learnt(), nothing_learnt(), records, mixed)
    rest = learn(before, nothing_learnt(), records[16:], Answers(*(part[16:] for part in mixed)))
    np.testing.assert_array_equal(again, rest)


def test_what_is_not_known_is_neither_learnt_nor_judged() -> None:
    records = make(16)
    unknown = np.full(16, UNKNOWN)
    vector = learn(nothing_learnt(), nothing_learnt(), records, Answers(unknown, unknown))
    assert not vector.any()
    vector = learn(nothing_learnt(), nothing_learnt(), records, Answers(unknown, np.zeros(16, np.int64)))
    sums = sums_in(vector)
    assert sums.total_judged.tolist() == [0, 16]
    assert not sums.weights[:, :5].any()
    assert sums.weights[:, 5].any()


def test_a_record_that_stands_for_several_counts_for_several() -> None:
    records = make(3)
    records["weight"] = (1, 2, 4)
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    assert sums_in(vector).total_judged.tolist() == [7, 7]


def test_partitions_that_take_turns_learn_what_one_would() -> None:
    records, answers = make(320), draw(make(320))
    one, parts = nothing_learnt(), [nothing_learnt(), nothing_learnt()]
    for at in range(0, 320, 16):
        now = slice(at, at + 16)
        known = Answers(answers.targets[now], answers.buys[now])
        p = at // 16 % 2
        one = learn(one, nothing_learnt(), records[now], known)
        parts[p] = learn(parts[p], parts[1 - p], records[now], known)
    together = sums_in(parts[0] + parts[1])
    np.testing.assert_allclose(together.total_judged, sums_in(one).total_judged)
    # They forget at other moments, which is all the difference there is.
    np.testing.assert_allclose(together.weights, sums_in(one).weights, atol=2e-3)
    np.testing.assert_allclose(together.tables, sums_in(one).tables, atol=0.2)


def test_another_model_begins_with_an_open_contest() -> None:
    records = make(300, said=(0.05, 0.05, 0.05, 0.8, 0.05, 0.9))
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    sums = sums_in(forget_model(vector))
    assert not sums.scale.any()
    assert not sums.losses.any()
    assert not sums.weights[INPUTS - 6 :].any()
    assert sums.weights[: INPUTS - 6].any()
    assert sums.tables.sum() == sums_in(vector).tables.sum()
    assert sums_in(vector).losses.any(), "the original stays as it was"


def test_too_few_answers_or_a_mixture_behind_the_base_rates_publish_something_else() -> None:
    vector = nothing_learnt()
    sums = sums_in(vector)
    assert vector.shape == (SIZE,)
    sums.judged[:] = FEWEST_JUDGED - 1
    assert source_of(sums, 0) is Source.MODEL
    sums.judged[:] = FEWEST_JUDGED
    sums.losses[-1], sums.losses[PLACE["base_rates"]] = (30.0, 50.0), (40.0, 40.0)
    assert [source_of(sums, task) for task in (0, 1)] == [Source.MIXTURE, Source.BASE_RATES]
    opinions = ask(vector, make(3))
    said = published(sums, opinions)
    np.testing.assert_array_equal(said[:, :5], opinions.mixed[:, :5])
    np.testing.assert_array_equal(said[:, 5], opinions.members[PLACE["base_rates"]][:, 5])


def test_a_record_of_a_batch_is_that_of_a_file() -> None:
    view = [float(name in ("is_view", "same_product")) for name in STEP_FEATURES]
    cart = [float(name == "is_cart") for name in STEP_FEATURES]
    steps = np.array([[cart, view], [view, [0.0] * len(view)]], dtype=np.float32)
    context = np.full((2, len(CONTEXT_FEATURES)), 0.5, dtype=np.float32)
    said = np.array([[0.1, 0.2, 0.3, 0.15, 0.25]] * 2)
    records = make_records((steps, np.array([2, 1]), context), said, np.array([0.0123, 0.5]))
    first, second = (read_records(packed)[0] for packed in split_records(records))
    none = NO_ACTION
    assert first["chain"] == (((0 * 2 + 1) * 6 + 2) * 2 + 0) * 6 + none
    assert second["chain"] == (((0 * 2 + 1) * 6 + none) * 2 + 0) * 6 + none
    assert first["probabilities"].tolist() == [1000, 2000, 3000, 1500, 2500, 123]
    assert set(first["aggregates"].tolist()) == {72}
    with pytest.raises(ValueError, match="buffer"):
        read_records(b"no records at all")


def test_what_was_learnt_survives_its_bytes() -> None:
    records = make(200)
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    learned = Learned(vector, "m1", 1_000, 2_000)
    found = unpack_learned(pack_learned(learned))
    assert found[1:] == learned[1:]
    np.testing.assert_allclose(found.vector, vector, rtol=1e-6)
    for damaged in (
        b"",
        b"nothing",
        pack_learned(learned)[:-9],
        pack_learned(learned._replace(vector=vector * np.nan)),
    ):
        with pytest.raises(InvalidLearned):
            unpack_learned(damaged)


def test_of_another_model_only_what_is_not_about_it_is_added_up() -> None:
    records = make(200)
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    both = add_up(
        [Learned(vector, "m1", 1_000, 2_000), Learned(vector, "m2", 500, 1_500), Learned(nothing_learnt())],
        "m1",
    )
    sums, one = sums_in(both.vector), sums_in(vector)
    assert (both.since_ms, both.at_ms) == (500, 2_000)
    np.testing.assert_allclose(sums.rates, 2 * one.rates)
    np.testing.assert_allclose(sums.losses, one.losses)


def test_a_publisher_says_what_the_mixture_says() -> None:
    records, asked = make(600), make(40, seed=8, said=(0.5, 0.1, 0.1, 0.1, 0.2, 0.3))
    vector = learn(nothing_learnt(), nothing_learnt(), records, draw(records))
    said = np.tile([0.5, 0.1, 0.1, 0.1, 0.2], (40, 1)), np.full(40, 0.3)
    for by_task in ((1.0, 1.0), (1e9, 1.0), (1.0, 1e9)):
        sums = sums_in(vector.copy())
        sums.losses[-1] *= by_task
        expected = published(sums, ask(vector, asked))
        chances, purchase = Publisher(sums).improve(asked, *said)
        np.testing.assert_allclose(chances, expected[:, :5], atol=1e-5)
        np.testing.assert_allclose(purchase, expected[:, 5], atol=1e-5)
    assert Publisher(sums_in(nothing_learnt())).improve(asked, *said) == said
