"""Which questions a comparison asks."""

import numpy as np
import pytest

from models.next_item.evaluation.cases import Cases, cases_of, cases_of_pairs, collapse_cases
from models.next_item.evaluation.data import EvaluationProtocol, hold_back, with_test
from models.next_item.sessions import sessions_of


def asked(cases: Cases) -> list[tuple[list[int], int]]:
    prefixes = cases.prefixes(0, cases.n_cases)
    return [(prefix.tolist(), int(target)) for prefix, target in zip(prefixes, cases.target, strict=True)]


def codes(*items: int) -> "np.ndarray":
    return np.array(items, dtype=np.int32)


def test_every_item_but_the_first_is_asked_for() -> None:
    cases = cases_of(sessions_of([[7, 8, 9], [5], [8, 7]], n_items=10))
    assert asked(cases) == [([7], 8), ([7, 8], 9), ([8], 7)]
    assert cases.session.tolist() == [0, 0, 2]


def test_the_action_on_the_target_is_kept() -> None:
    sessions = sessions_of([[7, 7, 9]], n_items=10)._replace(actions=np.array([0, 1, 2], dtype=np.int8))
    assert cases_of(sessions).action is not None
    assert cases_of(sessions).action.tolist() == [1, 2]  # type: ignore[union-attr]


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


def test_short_prefixes_are_not_asked() -> None:
    sessions = sessions_of([[0, 1]], n_items=2)
    cases = cases_of(sessions_of([[0, 0, 1, 0]], n_items=2))
    assert asked(with_test(sessions, cases, EvaluationProtocol(min_prefix=3)).cases) == [([0, 0, 1], 0)]
    collapsed = with_test(sessions, cases, EvaluationProtocol(collapse_repeats=True, min_prefix=2))
    assert asked(collapsed.cases) == [([0, 1], 0)]
    with pytest.raises(ValueError, match="prefixes of 9 items or more to ask, got 2 items and 0 prefixes"):
        with_test(sessions, cases, EvaluationProtocol(min_prefix=9))
