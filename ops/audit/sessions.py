"""Sessions kept for recommendations: what they must be for what was sent, and what there is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import polars as pl
from redis import Redis

from contracts.key_families import SESSIONS
from contracts.keys import Keys
from contracts.sessions import unpack_session
from ops.audit.expected import TYPES, distinct_events, tie_of

PAGE = 1_000
_FEWEST, _MOST_ITEMS, _RING = 2, 30, 16
_EXACT = 64
"""Of visitors with more events the stream does not know all at once, nor is each session the same."""
_BITS = {"view": 1, "favorite": 1, "cart": 2, "remove_from_cart": 1, "purchase": 4}


class SessionView(NamedTuple):
    """One session: its first and last moment, products in the order of their last action, what was done."""

    start_ms: int
    last_ms: int
    items: tuple[str, ...]
    actions: tuple[int, ...]


Views = dict[str, dict[int, SessionView]]
"""Sessions of visitors by their places."""


def expected_sessions(events: pl.DataFrame, idle_ms: int) -> Views:
    """Those of every visitor of whom the stream knows all, once all sessions have ended.

    `events` has `ops.audit.expected.COLUMNS`. A visitor of whom nothing is kept has an empty dict.
    """
    rank = pl.col("event_type").replace_strict(dict(zip(TYPES, range(len(TYPES)), strict=True)))
    rows = (
        distinct_events(events)
        .select("user_id", "at_ms", rank.alias("rank"), "event_id", "product_id", "event_type")
        .sort("user_id")
    )
    found: Views = {}
    for user, group in groupby(rows.iter_rows(), key=lambda row: row[0]):
        actions = sorted(((at, rank, tie_of(id_), *rest) for _, at, rank, id_, *rest in group))
        sessions = list(_split(actions, idle_ms))
        if len(actions) <= _EXACT and len(sessions) < _RING:
            views = {number: _view(session) for number, session in enumerate(sessions, 1)}
            found[user] = {number: view for number, view in views.items() if _says_something(view)}
    return found


def read_sessions(redis: Redis, keys: Keys) -> Views:
    """Those that are kept; `redis` must not decode answers."""
    found: Views = {}
    for p in range(keys.partitions):
        prefix = f"{keys.prefix(p)}{SESSIONS}"
        names: list[Any] = list(redis.scan_iter(match=f"{prefix}*", count=PAGE))
        for first in range(0, len(names), PAGE):
            page = names[first : first + PAGE]
            pipe = redis.pipeline(transaction=False)
            for name in page:
                pipe.hgetall(name)
            for name, fields in zip(page, pipe.execute(), strict=True):
                views = {int(place): SessionView(*unpack_session(blob)) for place, blob in fields.items()}
                found[name.decode().removeprefix(prefix)] = views
    return found


def session_differences(
    expected: Mapping[str, Mapping[int, SessionView]], found: Views, *, limit: int = 20
) -> list[str]:
    """Every difference in words, at most `limit` of them and how many more there are."""
    lines = [
        f"sessions of {user}: expected {views}, found {found.get(user, {})}"
        for user, views in sorted(expected.items())
        if found.get(user, {}) != views
    ]
    more = len(lines) - limit
    return [*lines[:limit], *([f"... and sessions of {more} more visitors"] if more > 0 else [])]


def _split(actions: Sequence[Any], idle_ms: int) -> Iterator[list[Any]]:
    session: list[Any] = []
    for action in actions:
        if session and action[0] - session[-1][0] > idle_ms:
            yield session
            session = []
        session.append(action)
    yield session


def _view(session: Sequence[Any]) -> SessionView:
    newest = {product: place for place, (*_, product, _) in enumerate(session) if product}
    items = sorted(newest, key=newest.__getitem__)[-_MOST_ITEMS:]
    done = [{_BITS[kind] for *_, product, kind in session if product == item} for item in items]
    return SessionView(session[0][0], session[-1][0], tuple(items), tuple(map(sum, done)))


def _says_something(view: SessionView) -> bool:
    return len(view.items) >= _FEWEST or any(bits > 1 for bits in view.actions)
