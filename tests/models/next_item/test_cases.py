"""Which questions a comparison asks."""

import numpy as np
import pytest

from models.next_item.cases import Cases, cases_of, cases_of_pairs, collapse_cases, known_cases_of
from models.next_item.evaluation.data import EvaluationProtocol, hold_back, with_test
from models.next_item.sessions import UNKNOWN, Sessions, sessions_of


def asked(cases: Cases) -> list[tuple[list[int], int]]:
    prefixes = cases.prefixes()
    return [(prefix.tolist(), int(target)) for prefix, target in zip(prefixes, cases.targets, strict=True)]


def codes(*items: int) -> "np.ndarray":
    return np.array(items, dtype=np.int32)


def test_every_item_but_the_first_is_asked_for() -> None:
    cases = cases_of(sessions_of([[7, 8, 9], [5], [8, 7]], n_items=10))
    assert asked(cases) == [([7], 8), ([7, 8], 9), ([8], 7)]
    assert cases.session.tolist() == [0, 0, 2]


def test_the_action_on_the_target_is_kept() -> None:
    sessions = sessions_of([[7, 7, 9]], n_items=10)._replace(actions=np.array([0, 1, 2], dtype=np.int8))
    assert cases_of(sessions).actions is not None
    assert cases_of(sessions).actions.tolist() == [1, 2]  # type: ignore[union-attr]


def test_pairs_of_one_session_belong_together() -> None:
    prefixes = [codes(3, 4, 5), codes(3, 4), codes(3), codes(6), codes(6, 7), codes(1)]
    cases = cases_of_pairs(prefixes, codes(6, 5, 4, 7, 8, 2))
    assert cases.session.tolist() == [0, 0, 0, 1, 1, 2]
    assert asked(cases)[1] == ([3, 4], 5)


def test_collapsing_cases_is_collapsing_the_sessions_they_are_from() -> None:
    sessions = [[1, 1, 2, 2, 2, 3], [4, 4], [5, 6, 5]]
    from_sessions = collapse_cases(cases_of(sessions_of(sessions, n_items=7)))
    pairs = [(codes(*one[:end]), one[end]) for one in sessions for end in range(1, len(one))]
    from_pairs = collapse_cases(
        cases_of_pairs([prefix for prefix, _ in pairs], codes(*(t for _, t in pairs)))
    )
    expected = [([1], 2), ([1, 2], 3), ([5], 6), ([5, 6], 5)]
    assert asked(from_sessions) == asked(from_pairs) == expected


def test_items_that_training_lacks_are_unknown() -> None:
    sessions = sessions_of([[4, 6], [6, 4], [4, 5, 6]], n_items=7)
    data = hold_back(sessions, EvaluationProtocol(held_back=0.4))
    assert data.train.n_items == 2
    assert asked(data.cases) == [([0], -1), ([0, -1], 1)]
    assert data.counts.tolist() == [2, 2]


def test_items_that_training_lacks_can_be_taken_out_of_the_cases() -> None:
    sessions = sessions_of([[4, 6, 4], [6, 4], [5, 4, 5, 5, 6], [5, 4], [4, 5]], n_items=7)
    data = hold_back(sessions, EvaluationProtocol(held_back=0.6, known_items_only=True))
    assert asked(data.cases) == [([0], 1)]  # as of the sessions 4 6, 4 and 4
    assert data.taken_out == 5
    pairs = cases_of_pairs([codes(5, 4), codes(5), codes(4, 5)], codes(6, 4, 6))
    of_pairs = with_test(sessions_of([[4, 6]], n_items=7), pairs, EvaluationProtocol(known_items_only=True))
    assert asked(of_pairs.cases) == [([0], 1), ([0], 1)]


def test_short_prefixes_are_not_asked() -> None:
    sessions = sessions_of([[0, 1]], n_items=2)
    cases = cases_of(sessions_of([[0, 0, 1, 0]], n_items=2))
    assert asked(with_test(sessions, cases, EvaluationProtocol(min_prefix=3)).cases) == [([0, 0, 1], 0)]
    collapsed = with_test(sessions, cases, EvaluationProtocol(collapse_repeats=True, min_prefix=2))
    assert asked(collapsed.cases) == [([0, 1], 0)]
    with pytest.raises(ValueError, match="prefixes of 9 items or more to ask, got 2 items and 0 prefixes"):
        with_test(sessions, cases, EvaluationProtocol(min_prefix=9))


def test_every_prefix_is_a_case_and_long_ones_keep_the_newest_items() -> None:
    cases = known_cases_of(sessions_of([[1, 2, 3, 4], [5], [6, 7]], 8), 2)
    rows, lengths = cases.rows()
    assert rows.tolist() == [[1, 0], [1, 2], [2, 3], [6, 0]]
    assert lengths.tolist() == [1, 2, 2, 1]
    assert cases.targets.tolist() == [2, 3, 4, 7]


def test_a_case_with_an_unknown_item_is_left_out() -> None:
    cases = known_cases_of(sessions_of([[1, UNKNOWN, 2, 3, 4]], 8), 2)
    assert [prefix.tolist() for prefix in cases.prefixes()] == [[2, 3]]


def test_the_action_on_the_target_says_what_a_case_counts() -> None:
    sessions = Sessions(codes(1, 2, 3), np.array([0, 3]), 4, np.array([0, 1, 2], np.int8))
    assert known_cases_of(sessions, 5).weights((1.0, 3.0, 9.0)).tolist() == [3.0, 9.0]
    assert known_cases_of(sessions._replace(actions=None), 5).weights((1.0, 3.0, 9.0)).tolist() == [1.0, 1.0]
