"""Brings recent sessions and the catalogue of a process up to date with what the stream has written."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from contracts.blob_formats import LaterFormat
from contracts.products import Amount
from contracts.seen_products import unpack_seen
from contracts.sessions import SESSIONS_PER_VISITOR, StoredSession, check_session, unpack_session
from models.recommendation.catalogue import CatalogueView, SeenProduct
from models.recommendation.recent_sessions import RecentSessions
from readers.blobs import value_in
from readers.catalogue import read_changes, read_products
from readers.reader import Reader
from readers.unreadable import UNREADABLE

PAGE = 25
"""Visitors that are read in one round trip; other work of the process goes on between them."""
FIRST_PAGE = 200
"""The same of products, and of visitors before anybody is answered."""
IDS_PAGE = 1_000
"""Ids and small values that are looked at in one go."""
LOOK_AGAIN = 20
"""One partition is compared in full with every so many refreshes."""


class _Standing(NamedTuple):
    """How a partition stands: its newest change (ms, 0: none), its visitors, and how many were deleted.

    `catalogue` differs from that of before if products changed: the time of the newest change, and how many
    were removed of late.
    """

    newest_ms: int
    n_visitors: int
    n_deleted: int
    catalogue: tuple[int, int]


class RecommendationFeed:
    """Keeps an index and a catalogue as of the last refresh.

    Changes are read by the time at which each was applied, so a refresh costs what has changed. Visitors who
    were deleted leave with the next refresh.
    """

    def __init__(self, index: RecentSessions, catalogue: CatalogueView) -> None:
        self.index = index
        self.catalogue = catalogue
        self._reached_ms: dict[int, int] = {}
        self._deleted: dict[int, int] = {}
        self._places: dict[int, dict[str, int]] = {}
        """Visitors of each partition; bit `n` says that there is a session at place `n`."""
        self._told_ms: tuple[int, ...] = ()
        self._told: frozenset[str] = frozenset()
        self._told_as_of: list[tuple[int, int]] = []
        self._seen: dict[int, dict[bytes, bytes]] = {}
        self._turn = 0

    async def refresh(self, reader: Reader) -> None:
        """Take in what has changed; raises `redis.RedisError`, and goes on from there the next time."""
        is_first = not self._seen
        standings = await _read_standings(reader)
        await self._read_sessions(reader, standings)
        await self._drop_visitors(reader, standings)
        # Two changes in one millisecond, or a product that comes back while another is removed, may look like
        # none: they are seen when it is a partition's turn.
        told_as_of = [standing.catalogue for standing in standings]
        if told_as_of != self._told_as_of or self._in_turn(reader):
            await self._read_catalogue(reader)
            self._told_as_of = told_as_of
        for p in reader.partitions if is_first else self._in_turn(reader):
            await self._read_seen(reader, p)
        self._turn += 1

    async def _read_sessions(self, reader: Reader, standings: Sequence[_Standing]) -> None:
        changed: list[tuple[int, int, str]] = []
        for p, standing in enumerate(standings):
            reached_ms = self._reached_ms.get(p, 0)
            if standing.newest_ms < reached_ms:  # an older Redis: what it writes again may be something else
                reached_ms = self._reached_ms[p] = 0
            if standing.newest_ms > reached_ms:
                key = reader.keys.sessions_changed(p)
                rows: Any = await reader.redis.zrangebyscore(key, f"({reached_ms}", "+inf", withscores=True)
                changed += [(int(at_ms), p, raw.decode()) for raw, at_ms in rows]
        changed.sort()  # the index wants them by time
        for page in _pages(changed, PAGE if self._seen else FIRST_PAGE):
            await self._read_visitors(reader, page)
        self._reached_ms.update((p, at_ms) for at_ms, p, _ in changed)

    async def _read_visitors(self, reader: Reader, page: Sequence[tuple[int, int, str]]) -> None:
        pipe = reader.redis.pipeline(transaction=False)
        for _, p, visitor_id in page:
            pipe.hgetall(reader.keys.sessions_in(p, visitor_id))
        hashes = await pipe.execute(raise_on_error=False)
        for fields in hashes:
            if isinstance(fields, Exception):
                raise fields
        for (_, p, visitor_id), fields in zip(page, hashes, strict=True):
            places = self._places.setdefault(p, {})
            places[visitor_id] = self._put(visitor_id, fields, places.get(visitor_id, 0))
        await asyncio.sleep(0)

    def _put(self, visitor_id: str, fields: dict[bytes, bytes], before: int) -> int:
        """Take in a visitor's sessions; the places that they have, as `before` has those of the last time."""
        sessions: list[tuple[int, int, StoredSession]] = []
        for field, blob in fields.items():
            try:
                session = value_in(blob, "a session for recommendations", _session_in)
            except LaterFormat as exc:
                UNREADABLE.note("a session for recommendations", exc)
                continue
            if session is not None and field.isdigit() and int(field) < SESSIONS_PER_VISITOR:
                sessions.append((session.start_ms, int(field), session))
        after = sum(1 << place for _, place, _ in sessions)
        if before & ~after:  # they were deleted, and have begun anew
            self.index.forget(visitor_id)
        for _, place, session in sorted(sessions):
            self.index.put(visitor_id, place, session)
        return after

    async def _drop_visitors(self, reader: Reader, standings: Sequence[_Standing]) -> None:
        """Visitors who are not in Redis any more, where there may be such."""
        at_turn = self._in_turn(reader)
        for p, standing in enumerate(standings):
            known = self._places.get(p, {})
            is_less = len(known) > standing.n_visitors and standing.n_deleted != self._deleted.get(p)
            if is_less or (p in at_turn and len(known) != standing.n_visitors):
                for visitor_id in await self._find_gone(reader, p, known):
                    self.index.forget(visitor_id)
                    known.pop(visitor_id, None)
            self._deleted[p] = standing.n_deleted

    async def _find_gone(self, reader: Reader, p: int, known: Iterable[str]) -> list[str]:
        """Those of the known visitors of a partition who are not in Redis any more."""
        key, gone = reader.keys.sessions_changed(p), set(known)
        first = 0
        # From the newest on: who changes meanwhile moves to where we have been, and the others further down.
        raws: Any = True
        while raws:
            raws = await reader.redis.zrange(key, first, first + IDS_PAGE - 1, desc=True)
            gone.difference_update([raw.decode() for raw in raws])
            first += IDS_PAGE
            await asyncio.sleep(0)
        suspects = list(gone)
        scores: Any = await reader.redis.zmscore(key, suspects) if suspects else []
        return [one for one, score in zip(suspects, scores, strict=True) if score is None]

    async def _read_catalogue(self, reader: Reader) -> None:
        since_ms = self._told_ms or (0,) * len(reader.partitions)
        changes = await read_changes(reader, since_ms)
        if changes.reached_ms == self._told_ms and changes.changed == self._told:
            return  # what changed at that very moment is read again
        for page in _pages(sorted(changes.changed), FIRST_PAGE):
            for product_id, known in (await read_products(reader, page)).items():
                self.catalogue.tell(product_id, known.facts)
            await asyncio.sleep(0)
        for product_id in changes.removed:
            self.catalogue.remove(product_id)
        self._told_ms, self._told = changes.reached_ms, changes.changed

    async def _read_seen(self, reader: Reader, p: int) -> None:
        """What events showed of products; of two partitions that saw one, that read last stands."""
        before, after = self._seen.get(p, {}), dict[bytes, bytes]()
        cursor: Any = None
        texts: Any
        while cursor != 0:
            page = reader.redis.hscan(reader.keys.seen_products(p), cursor or 0, count=IDS_PAGE)
            cursor, texts = await page
            after.update(texts)
            for raw, text in texts.items():
                if before.get(raw) != text:
                    self._see(raw.decode(), text)
            await asyncio.sleep(0)
        self._seen[p] = after

    def _see(self, product_id: str, text: bytes) -> None:
        found = value_in(text, "what events showed of a product", unpack_seen)
        if found is None:
            return
        price = None
        if found.price_minor is not None and found.currency is not None:
            price = Amount(found.price_minor, found.currency)
        self.catalogue.see(product_id, SeenProduct(found.category, found.brand, price))

    def _in_turn(self, reader: Reader) -> Sequence[int]:
        """The partition that is compared in full now, if any."""
        number, rest = divmod(self._turn, LOOK_AGAIN)
        return [number % len(reader.partitions)] if not rest else []


async def _read_standings(reader: Reader) -> list[_Standing]:
    pipe = reader.redis.pipeline(transaction=False)
    for p in reader.partitions:
        key = reader.keys.sessions_changed(p)
        pipe.zrange(key, 0, 0, desc=True, withscores=True)
        pipe.zcard(key)
        pipe.hlen(reader.keys.forgotten(p))
        pipe.zrange(reader.keys.catalogue_changed(p), 0, 0, desc=True, withscores=True)
        pipe.hlen(reader.keys.catalogue_removed(p))
    rows = await pipe.execute()
    return [
        _Standing(_newest(changed), n_visitors, n_deleted, (_newest(described), n_removed))
        for changed, n_visitors, n_deleted, described, n_removed in zip(*[iter(rows)] * 5, strict=True)
    ]


def _newest(rows: Sequence[tuple[bytes, float]]) -> int:
    return int(rows[0][1]) if rows else 0


def _session_in(blob: bytes) -> StoredSession:
    session = unpack_session(blob)
    check_session(session)
    return session


def _pages(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
