"""Sessions as arrays."""

from models.next_item.sessions import sessions_of


def test_sessions_lie_one_after_the_other() -> None:
    sessions = sessions_of([[4, 2], [], [1, 1, 0]], n_items=5)
    assert sessions.items.tolist() == [4, 2, 1, 1, 0]
    assert sessions.starts.tolist() == [0, 2, 2, 5]
    assert sessions.session_of.tolist() == [0, 0, 2, 2, 2]
    assert [one.tolist() for one in sessions.each()] == [[4, 2], [], [1, 1, 0]]
    assert sessions.n_sessions == 3
