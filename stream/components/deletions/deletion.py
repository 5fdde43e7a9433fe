"""Deletions of visitors: read before anything else of a partition, and applied before its events."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from contracts.deletions import cut_of, digest_user, secret_id_of
from contracts.settings import Settings
from models.next_action.prices import PriceLevel
from stream.batch.step import BatchResult, Clock
from stream.components.deletions.records import DeletionRecord
from stream.partitions.committer import Committer
from stream.partitions.partition import Partition
from stream.runtime.metrics import Meter

log = logging.getLogger(__name__)

DELETIONS_AT_ONCE = 1_000
"""Deletions in one commit at most."""


class Removal(NamedTuple):
    """Deletions of one partition, and the ids of those visitors in them that the store knows, by digest."""

    deletion_records: Sequence[DeletionRecord]
    users: Mapping[str, str]


def forget(clock: Clock, level: PriceLevel, cuts: Mapping[str, int], removal: Removal) -> BatchResult:
    """The outcome of deletions for a partition that keeps visitors out up to `cuts`.

    One that is among the cuts already changes nothing: the visitor of today began after it.
    """
    outcome = BatchResult(clock, level)
    for marker in removal.deletion_records:
        if marker.letter is not None:
            outcome.letters.append(marker.letter)
        if marker.deletion is None:
            continue
        digest = marker.deletion.digest
        cut_ms = cut_of(marker.deletion, marker.record_ms)
        if cut_ms <= max(cuts.get(digest, 0), outcome.forgotten.get(digest, 0)):
            continue
        outcome.forgotten[digest] = cut_ms
        if digest in removal.users:
            outcome.removed[digest] = removal.users[digest]
    outcome.count("deletions", len(outcome.forgotten))
    outcome.count("rejected", len(outcome.letters))
    return outcome


class DeletionApplier:
    """Applies the deletions that were read. One instance per worker, on the worker's event loop."""

    def __init__(self, settings: Settings, committer: Committer, meter: Meter) -> None:
        self._secret = settings.deletion_secret.get_secret_value()
        self._secret_id = secret_id_of(self._secret)
        self._committer = committer
        self._meter = meter

    async def forget(self, parts: Sequence[Partition]) -> None:
        """Commit a batch of the deletions of each of these partitions that has any."""
        taken = [(part, part.take_deletions(DELETIONS_AT_ONCE)) for part in parts if part.deletion_records]
        if not taken:
            return
        for part, deletion_records in taken:
            self._check_secret(part, deletion_records)
        users = await self._find(
            [(part, _new_digests(part, deletion_records)) for part, deletion_records in taken]
        )
        commits = [
            self._committer.commit_of(
                part,
                part.offsets_to({part.deletions: deletion_records[-1].offset + 1}),
                forget(part.clock, part.level, part.forgotten, Removal(deletion_records, users[part.number])),
            )
            for part, deletion_records in taken
        ]
        stored = await self._committer.commit([part for part, _ in taken], commits)
        for commit, is_stored in zip(commits, stored, strict=True):
            if is_stored:
                self._meter.deletions.inc(len(commit.outcome.forgotten))

    def _check_secret(self, part: Partition, deletion_records: Sequence[DeletionRecord]) -> None:
        if any(m.deletion is not None and m.deletion.secret_id != self._secret_id for m in deletion_records):
            log.error(
                "partition %d: deletions were made with another STOREPULSE_DELETION_SECRET than ours; "
                "their visitors are not kept out when the log is read again",
                part.number,
            )

    async def _find(self, wanted: Sequence[tuple[Partition, set[str]]]) -> dict[int, dict[str, str]]:
        """Ids of the visitors by partition and digest.

        The API leaves the id beside the state for the time of the deletion. Where Redis came back from before
        that, the visitors of the partition are gone through; in a partition that is empty there are none.
        """
        found = await self._committer.names({part.number: digests for part, digests in wanted})
        for part, digests in wanted:
            names = found[part.number]
            missing = digests - names.keys()
            if missing and not part.is_new:
                for user_id in await self._committer.visitor_ids(part.number):
                    digest = digest_user(user_id, self._secret)
                    if digest in missing:
                        names[digest] = user_id
        return found


def _new_digests(part: Partition, deletion_records: Sequence[DeletionRecord]) -> set[str]:
    """Digests whose visitors the partition does not keep out yet, or not for as long."""
    return {
        deletion.digest
        for _, record_ms, deletion, _ in deletion_records
        if deletion is not None and cut_of(deletion, record_ms) > part.forgotten.get(deletion.digest, 0)
    }
