"""A sample of a file's rows, by which two files that hold the same events are told."""

import hashlib
from heapq import heapify, heappushpop

SAMPLE_ROWS = 1_024
_DIGEST_BYTES = 8


class RowSample:
    """The rows whose digests are the smallest of all, `SAMPLE_ROWS` at most.

    Which rows these are depends on what is in the file and not on its order. Samples of files that share rows
    share about the same part of their digests; the sample of a small file is all of it.
    """

    def __init__(self) -> None:
        self._largest_first: list[int] = []
        self._chosen: set[int] = set()

    def add(self, row: bytes) -> None:
        """Look at a row: its bytes, or whatever tells it from others."""
        digest = -int.from_bytes(hashlib.blake2b(row, digest_size=_DIGEST_BYTES).digest())
        if len(self._largest_first) < SAMPLE_ROWS:
            if digest not in self._chosen:
                self._chosen.add(digest)
                self._largest_first.append(digest)
                if len(self._largest_first) == SAMPLE_ROWS:
                    heapify(self._largest_first)
        elif digest > self._largest_first[0] and digest not in self._chosen:
            self._chosen.add(digest)
            self._chosen.remove(heappushpop(self._largest_first, digest))

    @property
    def digests(self) -> frozenset[int]:
        """The digests chosen so far."""
        return frozenset(-digest for digest in self._chosen)


def shared_part(digests: frozenset[int], others: frozenset[int]) -> float:
    """About which part of the rows sampled in `digests` is among those sampled in `others`; 0 to 1."""
    if not digests or not others:
        return 0.0
    # A digest above the largest of a full sample may belong to a row that was not chosen there.
    known = max(others) if len(others) >= SAMPLE_ROWS else None
    comparable = [digest for digest in digests if known is None or digest <= known]
    return len(others.intersection(comparable)) / len(comparable) if comparable else 0.0
