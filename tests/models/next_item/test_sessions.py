"""Sessions as arrays."""

import numpy as np
import pytest

from models.next_item.sessions import Sessions, code_catalogue, collapse_repeats, sessions_of, split_by_time


def lists(sessions: Sessions) -> list[list[int]]:
    return [one.tolist() for one in sessions.each()]


def test_sessions_lie_one_after_the_other() -> None:
    sessions = sessions_of([[4, 2], [], [1, 1, 0]], n_items=5)
    assert sessions.items.tolist() == [4, 2, 1, 1, 0]
    assert sessions.starts.tolist() == [0, 2, 2, 5]
    assert sessions.session_of.tolist() == [0, 0, 2, 2, 2]
    assert lists(sessions) == [[4, 2], [], [1, 1, 0]]
    assert sessions.n_sessions == 3


def test_repeats_collapse_within_a_session_only() -> None:
    sessions = sessions_of([[1, 1, 2, 1], [1, 3, 3], []], n_items=4)
    assert lists(collapse_repeats(sessions)) == [[1, 2, 1], [1, 3], []]


def test_the_later_sessions_are_held_back() -> None:
    first, later = split_by_time(sessions_of([[0], [1, 2], [3], [4, 5]], n_items=6), 0.5)
    assert lists(first) == [[0], [1, 2]]
    assert lists(later) == [[3], [4, 5]]


def test_what_an_earlier_session_does_after_the_split_is_not_learnt() -> None:
    at_ms = np.array([0, 900, 10, 20, 500, 600])
    sessions = sessions_of([[0, 1], [2, 3], [4, 5]], n_items=6)._replace(at_ms=at_ms)
    first, later = split_by_time(sessions, 0.4)
    assert lists(first) == [[0], [2, 3]]
    assert lists(later) == [[4, 5]]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_split_without_sessions_on_one_side_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"a share of {share:g} of 2 sessions"):
        split_by_time(sessions_of([[0], [1]], n_items=2), share)


def test_the_catalogue_is_what_occurs_in_training() -> None:
    sessions, code_of = code_catalogue(sessions_of([[5, 2], [2]], n_items=7))
    assert lists(sessions) == [[1, 0], [0]]
    assert sessions.n_items == 2
    assert code_of.tolist() == [-1, -1, 0, -1, -1, 1, -1]
