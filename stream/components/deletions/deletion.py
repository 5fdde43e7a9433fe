"""Deletions of visitors: read before anything else of a partition, and applied before its events."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from contracts.deletions import cut_of, digest_user, secret_id_of
from contracts.settings import Settings
from models.next_action.prices import PriceLevel
from stream.batch.step import Clock, Outcome
from stream.components.deletions.records import Marker
from stream.partitions.committer import Ledger
from stream.partitions.partition import Partition
from stream.runtime.metrics import Meter

log = logging.getLogger(__name__)

MARKERS_AT_ONCE = 1_000
"""Deletions in one commit at most."""


class Removal(NamedTuple):
    """Deletions of one partition, and the ids of those visitors in them that the store knows, by digest."""

    markers: Sequence[Marker]
    users: Mapping[str, str]


def forget(clock: Clock, level: PriceLevel, cuts: Mapping[str, int], removal: Removal) -> Outcome:
    """The outcome of deletions for a partition that keeps visitors out up to `cuts`.

    One that is among the cuts already changes nothing: the visitor of today began after it.
    """
    outcome = Outcome(clock, level)
    for marker in removal.markers:
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


class Forgetter:
    """Applies the deletions that were read. One instance per worker, on the worker's event loop."""

    def __init__(self, settings: Settings, ledger: Ledger, meter: Meter) -> None:
        self._secret = settings.deletion_secret.get_secret_value()
        self._secret_id = secret_id_of(self._secret)
        self._ledger = ledger
        self._meter = meter

    async def forget(self, parts: Sequence[Partition]) -> None:
        """Commit a batch of the deletions of each of these partitions that has any."""
        taken = [(part, part.take_markers(MARKERS_AT_ONCE)) for part in parts if part.markers]
        if not taken:
            return
        for part, markers in taken:
            self._check_secret(part, markers)
        users = await self._find([(part, _new_digests(part, markers)) for part, markers in taken])
        commits = [
            self._ledger.commit_of(
                part,
                part.offsets_to({part.deletions: markers[-1].offset + 1}),
                forget(part.clock, part.level, part.forgotten, Removal(markers, users[part.number])),
            )
            for part, markers in taken
        ]
        stored = await self._ledger.commit([part for part, _ in taken], commits)
        for commit, is_stored in zip(commits, stored, strict=True):
            if is_stored:
                self._meter.deletions.inc(len(commit.outcome.forgotten))

    def _check_secret(self, part: Partition, markers: Sequence[Marker]) -> None:
        if any(m.deletion is not None and m.deletion.secret_id != self._secret_id for m in markers):
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
        found = await self._ledger.names({part.number: digests for part, digests in wanted})
        for part, digests in wanted:
            names = found[part.number]
            missing = digests - names.keys()
            if missing and not part.is_new:
                for user_id in await self._ledger.visitor_ids(part.number):
                    digest = digest_user(user_id, self._secret)
                    if digest in missing:
                        names[digest] = user_id
        return found


def _new_digests(part: Partition, markers: Sequence[Marker]) -> set[str]:
    """Digests whose visitors the partition does not keep out yet, or not for as long."""
    return {
        deletion.digest
        for _, record_ms, deletion, _ in markers
        if deletion is not None and cut_of(deletion, record_ms) > part.forgotten.get(deletion.digest, 0)
    }
