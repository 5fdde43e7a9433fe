"""The index of recent sessions: what it keeps, what it forgets, and the same from both implementations."""

import random
from typing import NamedTuple

import pytest

from contracts.sessions import BOUGHT, CARTED, VIEWED
from models.recommendation.index import MakeIndex, load_compiled
from models.recommendation.python_sessions import PythonSessions
from models.recommendation.recent_sessions import SHARE_HALF_LIFE_MS, RecentSessions, Scored, Scoring

ANY = VIEWED | CARTED | BOUGHT


class Visit(NamedTuple):
    start_ms: int
    last_ms: int
    items: tuple[str, ...]
    actions: tuple[int, ...]


def visit(items: str, actions: tuple[int, ...] | None = None, *, at_ms: int = 0) -> Visit:
    return Visit(at_ms, at_ms + 10, tuple(items), actions or (VIEWED,) * len(items))


def names(found: list) -> list[str]:
    return [one.product_id for one in found]


@pytest.fixture(params=["python", "compiled"])
def make_sessions(request: pytest.FixtureRequest) -> MakeIndex:
    return PythonSessions if request.param == "python" else compiled()


def compiled() -> MakeIndex:
    made = load_compiled()
    if made is None:
        pytest.skip("not compiled")
    return made


def test_a_session_that_grows_replaces_what_was_put_before(make_sessions: MakeIndex) -> None:
    index = make_sessions(10, 10)
    index.put("ann", 0, visit("ab"))
    index.put("ann", 0, visit("bca", (VIEWED, CARTED, VIEWED)))
    assert (index.n_sessions, index.n_items) == (1, 3)
    assert index.together("a", ANY, CARTED, limit=9)[0][:2] == ("c", 1.0)
    index.put("ann", 0, visit("xy", at_ms=99))
    assert (index.n_sessions, index.sessions_with("a"), "a" in index) == (1, 0, False)


def test_a_visitor_who_is_forgotten_leaves_nothing(make_sessions: MakeIndex) -> None:
    index = make_sessions(10, 10)
    for place in range(3):
        index.put("ann", place, visit("ab", at_ms=place))
    index.put("bob", 0, visit("bc"))
    index.forget("ann")
    index.forget("nobody")
    assert (index.n_sessions, index.n_items, "a" in index) == (1, 2, False)
    assert names(index.popular((1, 1, 1), 1e9, now_ms=0)) == ["b", "c"]
    assert index.together("b", ANY, ANY, limit=9) == [("c", 1.0, 1)]


def test_the_oldest_sessions_leave_when_there_are_too_many(make_sessions: MakeIndex) -> None:
    index = make_sessions(2, 10)
    for place, items in enumerate(("ab", "bc", "cd")):
        index.put("ann", place, visit(items, at_ms=place))
    assert (index.n_sessions, "a" in index, index.sessions_with("c")) == (2, False, 2)


def test_of_a_product_only_the_newest_sessions_are_looked_at(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 3)
    for place, other in enumerate("bcdef"):
        index.put("ann", place, visit("a" + other, at_ms=place))
    assert names(index.together("a", ANY, ANY, limit=9)) == ["d", "e", "f"]
    assert index.sessions_with("a") == 5


def test_pairs_of_actions_are_told_apart(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 10)
    index.put("ann", 0, visit("abc", (BOUGHT, BOUGHT, VIEWED)))
    index.put("bob", 0, visit("ac", (VIEWED | CARTED, VIEWED)))
    assert index.together("a", BOUGHT, BOUGHT, limit=9) == [("b", 1.0, 1)]
    assert index.together("a", CARTED, VIEWED, limit=9)[0].product_id == "c"
    assert index.visits_together(["b", "c", "x"], ["a", "y"]) == [[1, 2, 0], [0, 0, 0]]
    assert index.visits_together(["c"], ["a"], skip_visitor="bob") == [[1]]


def test_next_products_follow_like_sessions_and_the_latest_product(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 10)
    for place in range(3):
        index.put("ann", place, visit("abc", at_ms=place))
    index.put("bob", 0, visit("axd", at_ms=5))
    prefix = [("b", 1.0), ("a", 0.5)]
    found = index.next_products(prefix, Scoring(idf_weight=0.0), limit=9, now_ms=10)
    assert names(found)[0] == "c"
    assert {"d", "x"} <= set(names(found))
    alone = index.next_products(prefix, Scoring(), limit=9, now_ms=10, skip_visitor="ann")
    assert "c" not in names(alone)
    added = index.next_products([], Scoring(), limit=9, now_ms=10, extra=[("q", 2.0), ("c", 1.0)])
    assert added == [("q", 2.0), ("c", 1.0)]
    shares = [([Scored("q", 2.0), Scored("c", 1.0)], 0.5), ([Scored("c", 1.0)], 2.0)]
    assert index.next_products([], Scoring(), limit=9, now_ms=10, shares=shares) == [("c", 2.5), ("q", 1.0)]


def test_a_product_stands_by_its_sessions_and_how_many_began_since(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 2)
    for place, items in enumerate(("ab", "ac", "ad", "e")):
        index.put("ann", place, visit(items, (VIEWED, CARTED)[: len(items)], at_ms=place))
    assert index.standings(["a", "c", "e", "x"], 2) == [
        (3, 0, 1, 1),
        (1, 1, 0, 2),
        (1, 0, 1, 0),
        (0, 0, 0, 4),
    ]
    index.put("ann", 0, visit("ea", at_ms=0))  # no new session
    assert index.standings(["e"], 9) == [(2, 0, 2, 3)]
    for place in (2, 1):  # those that are looked at
        index.put("ann", place, visit("", at_ms=9))
    assert index.standings(["a"], 9) == [(1, 0, 0, 2)]


def test_popularity_counts_actions_and_fades(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 10)
    index.put("ann", 0, Visit(0, 0, ("a", "b"), (VIEWED, BOUGHT)))
    index.put("bob", 0, Visit(0, 1_000, ("a", "c"), (VIEWED, VIEWED)))
    found = index.popular((1.0, 4.0, 8.0), 1_000.0, now_ms=1_000)
    assert found == [("b", 4.0, 1), ("a", 1.5, 2), ("c", 1.0, 1)]
    assert names(index.popular((1.0, 4.0, 8.0), 1_000.0, now_ms=1_000, newest=1)) == ["a", "c"]


def test_products_share_in_the_popularity_of_their_group(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 10)
    index.put("ann", 0, visit("ab"))
    index.put("bob", 0, visit("ac"))
    index.put("cem", 0, visit("ad", at_ms=round(SHARE_HALF_LIFE_MS)))
    shares = index.popular_among("group", "abx", limit=9, now_ms=0, old_ms=100)
    assert dict(shares) == pytest.approx({"a": 0.8, "b": 0.2})
    index.put("dan", 0, visit("ab"))
    assert index.popular_among("group", "abx", limit=9, now_ms=99, old_ms=100) == shares
    index.forget("cem")
    assert dict(index.popular_among("group", "abx", limit=9, now_ms=99, old_ms=100)) == pytest.approx(
        {"a": 0.6, "b": 0.4}
    )


def test_shares_stay_those_of_their_products_when_others_come_and_go(make_sessions: MakeIndex) -> None:
    index = make_sessions(100, 10)
    for n, items in enumerate(("ab", "ac", "ad")):
        index.put(f"u{n}", 0, visit(items))
    shares = index.popular_among("group", "abcd", limit=9, now_ms=0)

    def added() -> dict[str, float]:
        found = index.next_products([], Scoring(), limit=9, now_ms=0, shares=[(shares, 1.0), (shares, 2.0)])
        return dict(found)

    wanted = {one.product_id: 3.0 * one.score for one in shares}
    assert added() == pytest.approx(wanted)
    index.forget("u1")  # takes c with it
    assert added() == pytest.approx(wanted)
    index.put("u3", 0, visit("ax"))  # in the place of c
    assert added() == pytest.approx(wanted)
    index.put("u4", 0, visit("yc"))  # c is back, in another one
    assert added() == pytest.approx(wanted)


@pytest.mark.parametrize("place", [-1, 256])
def test_bad_sessions_are_refused(make_sessions: MakeIndex, place: int) -> None:
    index = make_sessions(10, 10)
    with pytest.raises(ValueError, match="place"):
        index.put("ann", place, visit("ab"))
    with pytest.raises(ValueError, match="more or fewer actions"):
        index.put("ann", 0, Visit(0, 0, ("a",), ()))
    with pytest.raises(ValueError, match="1 or more"):
        make_sessions(0, 10)
    assert index.n_sessions == 0


def test_both_implementations_give_the_same() -> None:
    make = compiled()
    chance = random.Random(7)
    for limits in ((40, 5), (300, 50), (5_000, 2_000)):
        one, other = PythonSessions(*limits), make(*limits)
        for step in range(1_500):
            change(chance, step, (one, other))
        compare(chance, one, other)


def change(chance: random.Random, step: int, indexes: tuple[RecentSessions, ...]) -> None:
    visitor, place = f"v{chance.randrange(120)}", chance.randrange(4)
    if chance.random() < 0.05:
        for index in indexes:
            index.forget(visitor)
        return
    size = chance.randrange(1, 35)
    items = tuple(chance.sample([f"p{int(chance.paretovariate(0.6)) % 400}" for _ in range(60)], size))
    items = tuple(dict.fromkeys(items))
    actions = tuple(chance.choice((1, 1, 1, 2, 3, 4, 7)) for _ in items)
    session = Visit(chance.randrange(3), step * 1_000 + chance.randrange(900), items, actions)
    for index in indexes:
        index.put(visitor, place, session)


def compare(chance: random.Random, one: RecentSessions, other: RecentSessions) -> None:
    assert (one.n_sessions, one.n_items) == (other.n_sessions, other.n_items)
    for _ in range(40):
        products = [f"p{number}" for number in chance.sample(range(60), 5)]
        scoring = Scoring(
            k=chance.choice((3, 100)),
            age_scale_ms=chance.choice((0.0, 1e6)),
            transition_reach=chance.randrange(4),
            transition_sessions=chance.choice((2, 100)),
            before_weight=chance.choice((1.0, 0.5)),
            action_weights=(1.0, 1.5, 2.0),
        )
        prefix = [(product, chance.random()) for product in products]
        results = [
            index.next_products(
                prefix,
                scoring,
                limit=2_000,
                now_ms=1_600_000,
                extra=[("p1", 0.1), ("nothing", 0.2)],
                shares=[([Scored("p2", 0.3), Scored("p1", 0.1)], 0.5)],
                skip_visitor="v3",
            )
            for index in (one, other)
        ]
        assert dict(results[0]) == pytest.approx(dict(results[1]))
        assert [score for _, score in results[1]] == sorted((score for _, score in results[1]), reverse=True)
        masks = chance.choice((1, 2, 4, 6, 7)), chance.choice((1, 2, 4, 6, 7))
        assert one.together(products[0], *masks, limit=20) == other.together(products[0], *masks, limit=20)
        assert one.visits_together(products, products) == other.visits_together(products, products)
        assert one.standings([*products, "x"], 50) == other.standings([*products, "x"], 50)
        followed = [
            dict(index.next_products([(products[0], 0.0)], scoring, limit=2_000, now_ms=1_600_000))
            for index in (one, other)
        ]
        assert followed[0] == pytest.approx(followed[1])
    popular = [index.popular((1, 4, 8), 1e7, now_ms=1_600_000, newest=200) for index in (one, other)]
    shares = [
        dict(index.popular_among("some", ["p1", "p2", "p3", "x"], limit=9, now_ms=0))
        for index in (one, other)
    ]
    assert shares[0] == pytest.approx(shares[1])
    assert {p: s for p, s, _ in popular[0]} == pytest.approx({p: s for p, s, _ in popular[1]})
