"""The life of model versions: whoever writes, whatever comes twice, there is one champion and all agree."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model_steps import Author, ModelStep, StepKind, decode_step, encode_step, new_step_id
from models.lifecycle.lifecycle import Lifecycle
from models.lifecycle.state import BASE, NEW_SLOT, SlotState, Stage, refusal_of, step

SLOT = "next_action"
VERSIONS = ("v1", "v2", "v3", BASE)


def make(number: int, kind: StepKind, version: str = "v1", author: Author = Author.LEARNER) -> ModelStep:
    return ModelStep(new_step_id(), SLOT, number, kind, version, number, author, "because", {"n": number})


Taken = tuple[StepKind, str] | tuple[StepKind, str, Author]


def run(*taken: Taken, state: SlotState = NEW_SLOT) -> SlotState:
    for kind, version, *author in taken:
        made = make(state.number + 1, kind, version, *author)
        assert not refusal_of(state, made)
        state = step(state, made)
    return state


C, S, P, R = StepKind.CANDIDATE, StepKind.SHADOW, StepKind.PROMOTE, StepKind.REJECT
B, OK, PIN, UNPIN = StepKind.ROLL_BACK, StepKind.CONFIRM, StepKind.PIN, StepKind.UNPIN


def test_a_candidate_becomes_the_champion_and_the_one_before_goes_on_beside_it() -> None:
    state = run((C, "v1"), (S, "v1"))
    assert (state.champion, state.beside, state.is_on_probation) == (BASE, "v1", False)
    state = run((P, "v1"), state=state)
    assert (state.champion, state.beside, state.is_on_probation) == ("v1", BASE, True)
    state = run((C, "v2"), (OK, "v1"), (S, "v2"), (P, "v2"), state=state)
    assert (state.champion, state.former, state.beside) == ("v2", (BASE, "v1"), "v1")
    state = run((B, "v2"), state=state)
    assert (state.champion, state.former, state.beside) == ("v1", (BASE,), "")
    assert state.stage_of("v2") is Stage.REJECTED
    assert run((B, "v1"), state=state).champion == BASE


def test_a_candidate_can_be_rejected_before_and_in_the_shadow() -> None:
    assert run((C, "v1"), (R, "v1")).stage_of("v1") is Stage.REJECTED
    state = run((C, "v1"), (S, "v1"), (R, "v1"))
    assert (state.champion, state.beside, state.stage_of("v1")) == (BASE, "", Stage.REJECTED)


def test_what_is_pinned_stays() -> None:
    state = run((C, "v1"), (S, "v1"), (PIN, BASE, Author.OPERATOR))
    assert (state.champion, state.beside, state.is_pinned) == (BASE, "", True)
    for kind in (C, S, P, B):
        assert refusal_of(state, make(state.number + 1, kind, "v1", Author.OPERATOR)) == "base is pinned"
    assert state.stage_of("v1") is Stage.REJECTED
    state = run((UNPIN, BASE, Author.OPERATOR), (P, "v1", Author.OPERATOR), state=state)
    assert (state.champion, state.beside) == ("v1", "")


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        (make(1, S), "v1 is no candidate"),
        (make(1, P), "v1 does not run in the shadow"),
        (make(1, R), "v1 is neither a candidate nor in the shadow"),
        (make(1, B, BASE), "there was no champion before base"),
        (make(1, B), "v1 is not the champion"),
        (make(1, OK, BASE), "base is not on probation"),
        (make(1, UNPIN, BASE), "base is not pinned"),
        (make(2, C), "another step came first: this is number 2, the last was 0"),
        (make(1, C, BASE), "base is known: champion"),
    ],
)
def test_a_step_that_does_not_fit_changes_nothing(taken: ModelStep, reason: str) -> None:
    assert refusal_of(NEW_SLOT, taken) == reason
    assert step(NEW_SLOT, taken) is NEW_SLOT


STEPS = st.lists(
    st.builds(
        make, st.integers(1, 6), st.sampled_from(StepKind), st.sampled_from(VERSIONS), st.sampled_from(Author)
    ),
    max_size=40,
)


@given(STEPS, st.randoms(use_true_random=False))
def test_in_any_log_there_is_one_champion_and_reading_again_changes_nothing(
    log: list[ModelStep], draw: random.Random
) -> None:
    one, other = Lifecycle(), Lifecycle()
    seen = []
    for taken in log:
        one.take(encode_step(taken))
        state = one.state(SLOT)
        seen.append(state)
        in_use = [state.champion, *state.former, *[v for v in (state.candidate, state.beside) if v]]
        assert state.champion
        assert state.champion not in state.former
        assert state.beside != state.champion
        assert len(set(in_use)) == len(in_use) - (state.beside in state.former)
    assert all(after.number - before.number in (0, 1) for before, after in pairwise(seen))
    for again in range(2):  # a reader that loses its connection, and reads from the start
        for taken in log[: draw.randint(0, len(log))] if not again else log:
            other.take(encode_step(taken))
    assert other.state(SLOT) == one.state(SLOT)
    assert other.steps == one.steps


def test_of_two_writers_the_first_counts() -> None:
    lifecycle = Lifecycle()
    first, second = make(1, C, "v1"), make(1, C, "v2")
    for taken in (first, second, first):
        lifecycle.take(encode_step(taken))
    assert lifecycle.state(SLOT).candidate == "v1"
    assert lifecycle.has_taken(first.step_id)
    assert lifecycle.has_seen(second.step_id)
    assert not lifecycle.has_taken(second.step_id)


def test_a_step_is_the_same_after_its_record_and_others_are_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken = make(1, C)
    assert decode_step(encode_step(taken)) == taken
    lifecycle = Lifecycle()
    for value in (b"", b"{}", encode_step(taken).replace(b"candidate", b"crowned")):
        lifecycle.take(value)
    assert lifecycle.state(SLOT) is NEW_SLOT
    assert caplog.text.count("is passed over") == 3
