"""Sessions kept for recommendations: how they come from actions, what is read back, and what is refused."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.blob_formats import LaterFormat
from contracts.carts import CART, PURCHASE, REMOVE
from contracts.seen_products import SeenProduct, pack_seen, unpack_seen
from contracts.sessions import (
    BOUGHT,
    CARTED,
    MAX_ITEMS,
    VIEWED,
    StoredSession,
    check_session,
    pack_session,
    stored_session,
    unpack_session,
)
from contracts.visitor import Action

VIEW = 0


def action(at_ms: int, rank: int, product_id: str) -> Action:
    return Action(at_ms, rank, b"", product_id, 1, None, None, None, None, None)


def test_products_stand_in_the_order_of_their_last_action_with_all_that_was_done() -> None:
    steps = [
        (VIEW, "a"),
        (VIEW, "b"),
        (CART, "a"),
        (REMOVE, "c"),
        (PURCHASE, "a"),
        (VIEW, "b"),
        (PURCHASE, ""),
    ]
    session = stored_session(5, [action(10 + i, *step) for i, step in enumerate(steps)])
    assert session == StoredSession(5, 16, ("c", "a", "b"), (VIEWED, VIEWED | CARTED | BOUGHT, VIEWED))


def test_of_a_long_session_the_newest_products_stay() -> None:
    session = stored_session(0, [action(i, VIEW, f"p{i}") for i in range(MAX_ITEMS + 5)])
    assert (session.items[0], len(session.items), len(session.actions)) == ("p5", MAX_ITEMS, MAX_ITEMS)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", "", "ß"])), min_size=1, max_size=50))
def test_a_session_is_read_back(steps: list[tuple[int, str]]) -> None:
    session = stored_session(3, [action(3 + i, *step) for i, step in enumerate(steps)])
    check_session(session)
    assert unpack_session(pack_session(session)) == session


def test_a_later_format_is_told_from_garbage() -> None:
    with pytest.raises(LaterFormat, match="session blob has format 2"):
        unpack_session(msgpack.packb((2, "anything")))
    for blob in (
        b"",
        b"\xc1",
        msgpack.packb("text"),
        msgpack.packb((0, 1, 2, (), ())),
        msgpack.packb((1, 2)),
    ):
        with pytest.raises(Exception, match=r".*") as raised:
            unpack_session(blob)
        assert not isinstance(raised.value, LaterFormat)


@pytest.mark.parametrize(
    "session",
    [
        StoredSession(5, 4, ("a",), (1,)),
        StoredSession(1, 2, ("a", "a"), (1, 1)),
        StoredSession(1, 2, ("a",), (1, 2)),
        StoredSession(1, 2, ("a",), (8,)),
        StoredSession(1, 2, ("a",), (0,)),
        StoredSession(1, 2, ("",), (1,)),
        StoredSession(1, 2, tuple(map(str, range(31))), (1,) * 31),
        StoredSession(1, 2, (b"a",), (1,)),  # type: ignore[arg-type]
    ],
)
def test_a_session_that_cannot_be_is_refused(session: StoredSession) -> None:
    with pytest.raises(ValueError, match=r"a (session|value) has parts"):
        check_session(session)


def test_seen_products_are_read_back_and_checked() -> None:
    for seen in (SeenProduct("Mugs", "Acme", 999, "EUR"), SeenProduct(), SeenProduct(brand="Ä")):
        assert unpack_seen(pack_seen(seen)) == seen
    assert unpack_seen('["Mugs",null,null,null,"told by a later version"]') == SeenProduct("Mugs")
    for text in ("", "5", "[]", '["a","b",1,null]', '["a","b",1,"XXX"]', "[1,null,null,null]"):
        with pytest.raises(ValueError, match=r".*"):
            unpack_seen(text)
