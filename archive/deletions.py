"""The deletions topic as the archive knows it: whom to keep out, and whom to clear from the files."""

import logging
from collections.abc import Iterable, Sequence

from archive.cuts import Cuts
from contracts.deletions import InvalidDeletion, cut_of, decode_deletion, secret_id_of
from contracts.log_records import LogRecord

_log = logging.getLogger(__name__)


class Deletions:
    """All deletions there ever were. `applied` are the next offsets of those that the files are clear of."""

    def __init__(self, partitions: int, secret: str) -> None:
        self._secret_id = secret_id_of(secret)
        self._cuts: dict[str, int] = {}
        self._waiting: list[tuple[int, int, str]] = []
        self._said = False
        self.reached = [0] * partitions

    @property
    def cuts(self) -> Cuts:
        """Every deleted visitor."""
        return self._cuts

    def take(self, partition: int, records: Iterable[LogRecord], reached: int) -> None:
        """Take records of a partition up to the next offset `reached`."""
        for record in records:
            try:
                deletion = decode_deletion(record.value)
            except InvalidDeletion:
                continue  # workers make a dead letter of it
            if deletion.secret_id != self._secret_id and not self._said:
                self._said = True
                _log.error(
                    "deletions were made with another STOREPULSE_DELETION_SECRET than ours; "
                    "their visitors are not cleared from the archive"
                )
            cut_ms = cut_of(deletion, record.timestamp)
            self._cuts[deletion.digest] = max(cut_ms, self._cuts.get(deletion.digest, 0))
            self._waiting.append((partition, record.offset, deletion.digest))
        self.reached[partition] = max(reached, self.reached[partition])

    def due(self, applied: Sequence[int]) -> Cuts:
        """The visitors to clear from the files, which are clear of the deletions before `applied`."""
        self._waiting = [one for one in self._waiting if one[1] >= applied[one[0]]]
        return {digest: self._cuts[digest] for _, _, digest in self._waiting}
