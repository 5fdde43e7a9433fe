"""Deletions: visitors are removed, and their events from before are kept out when the log is read again."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts.deletions import cut_of, digest_user, secret_id_of
from contracts.key_families import CUSTOMER, FORGETTING, FORGOTTEN, VISITOR
from contracts.subjects import customer, visitor
from contracts.topics import DELETIONS
from stream.batch.records import Record
from stream.batch.result import Change
from stream.batch.step import Screen
from stream.components.component import Source, StateReader, TopicComponent, TopicRecords
from stream.components.deletions.records import DeletionRecord, read_deletions
from stream.components.deletions.screen import keep_out
from stream.state.commit import ClaimRead
from stream.state.writes import RemoveFromHash, SetInHash

log = logging.getLogger(__name__)

Cuts = Mapping[str, int]
"""Digests of deleted visitors to the ms up to which their events are kept out."""

ENTRY_BYTES = 200
"""Memory of one deleted visitor, about: a digest of 64 digits, a number, their place in a dict."""


class Deletions(TopicComponent[Cuts, None, DeletionRecord]):
    """Applies the topic of deletions; `secret` is the key of the digests that stand for visitors."""

    name = "deletions"
    topic = DELETIONS
    is_read_at_claim = True
    reads = (ClaimRead(FORGOTTEN, "hash"),)

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self._secret_id = secret_id_of(secret)

    def load(self, found: Mapping[str, Any]) -> Cuts:
        """See `Component.load`."""
        return {digest: int(cut_ms) for digest, cut_ms in found[FORGOTTEN].items()}

    def size(self, state: Cuts) -> int:
        """See `Component.size`."""
        return len(state) * ENTRY_BYTES

    def screen(self, state: Cuts) -> Screen | None:
        """See `Component.screen`."""
        if not state:
            return None
        return lambda grouped, entries: {"forgotten": keep_out(grouped, entries, state, self.secret)}

    def read(self, records: Iterable[Record], source: Source) -> list[DeletionRecord]:
        """See `TopicComponent.read`."""
        return read_deletions(records, topic=source.topic, partition=source.partition, now_ms=source.now_ms)

    async def look_up(
        self, state: Cuts, items: Sequence[DeletionRecord], reader: StateReader
    ) -> Mapping[str, str]:
        """Ids of the visitors by digest.

        The API leaves the id beside the state for the time of the deletion. Where Redis came back from before
        that, the visitors of the partition are gone through; in a partition that is empty there are none.
        """
        self._check_secret(reader.partition, items)
        digests = {
            item.deletion.digest
            for item in items
            if item.deletion is not None
            and cut_of(item.deletion, item.record_ms) > state.get(item.deletion.digest, 0)
        }
        found = dict(await reader.fields(FORGETTING, digests))
        missing = digests - found.keys()
        if missing and not reader.is_new:
            for user_id in (*await reader.keys_from(VISITOR), *await reader.keys_from(CUSTOMER)):
                digest = digest_user(user_id, self.secret)
                if digest in missing:
                    found[digest] = user_id
        return found

    def apply_records(self, state: Cuts, records: TopicRecords[DeletionRecord, None]) -> Change:
        """The visitors to forget, and until when to keep them out.

        One whose cut is known already changes nothing: the visitor of today began after it.
        """
        users: Mapping[str, str] = records.looked_up
        letters = [item.letter for item in records.items if item.letter is not None]
        cuts: dict[str, int] = {}
        for item in records.items:
            if item.deletion is None:
                continue
            digest, cut_ms = item.deletion.digest, cut_of(item.deletion, item.record_ms)
            if cut_ms > max(state.get(digest, 0), cuts.get(digest, 0)):
                cuts[digest] = cut_ms
        counters = {"deletions": len(cuts), "rejected": len(letters)}
        if not cuts:
            return Change(counters=counters, letters=letters)
        return Change(
            {**state, **cuts},
            [SetInHash(FORGOTTEN, cuts), RemoveFromHash(FORGETTING, cuts.keys())],
            counters=counters,
            letters=letters,
            forget=[
                subject
                for digest in cuts
                if digest in users
                for subject in (visitor(users[digest]), customer(users[digest]))
            ],
        )

    def _check_secret(self, partition: int, items: Sequence[DeletionRecord]) -> None:
        if any(item.deletion is not None and item.deletion.secret_id != self._secret_id for item in items):
            log.error(
                "partition %d: some deletions used another STOREPULSE_DELETION_SECRET; "
                "their visitors will come back if the log is read again",
                partition,
            )
