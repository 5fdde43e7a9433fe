"""Rows that have been read and wait to be written: bounded, in columns."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from archive.cuts import Cuts, find_deleted
from archive.records import Place, event_rows, plain_rows
from contracts.log_records import LogRecord
from contracts.topics import EVENT_TOPICS
from sources.archive.manifest import EVENTS
from sources.archive.schema import to_frame, to_record_frame

_FOLD_ROWS = 5_000
FORGOTTEN = "forgotten"


class FlushLimits(NamedTuple):
    """When what waits is written: after so long, or when it is so many rows or bytes."""

    every_s: float = 60.0
    rows: int = 100_000
    size_bytes: int = 64 * 2**20


class Batch(NamedTuple):
    """Rows by dataset, the next offsets of each topic, and what records were that became no row."""

    frames: Mapping[str, pl.DataFrame]
    offsets: Mapping[str, tuple[int, ...]]
    left_out: Counter[str]


class Intake:
    """Takes records, gives batches. `offsets` are the next ones by plain topic when it begins."""

    def __init__(self, offsets: Mapping[str, Sequence[int]], limits: FlushLimits, *, currency: str) -> None:
        self._offsets = {topic: list(ends) for topic, ends in offsets.items()}
        self._limits = limits
        self._currency = currency
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._frames: dict[str, list[pl.DataFrame]] = {}
        self._left_out: Counter[str] = Counter()
        self._n_rows = self._size_bytes = 0
        self._since_s: float | None = None

    def take(self, topic: str, partition: int, records: Sequence[LogRecord], reached: int) -> None:
        """Take the records of a partition up to the next offset `reached`, which may pass over more."""
        ends = self._offsets[topic]
        place = Place(topic, partition, len(ends))
        dataset = EVENTS if topic in EVENT_TOPICS else topic
        if dataset == EVENTS:
            rows, left_out = event_rows(records, place, currency=self._currency)
            self._left_out += left_out
        else:
            rows = plain_rows(records, place)
        waiting = self._rows.setdefault(dataset, [])
        waiting += rows
        self._n_rows += len(rows)
        self._size_bytes += sum(len(record.value or b"") for record in records)
        if len(waiting) >= _FOLD_ROWS:
            self._fold(dataset)
        if reached > ends[partition]:
            ends[partition] = reached
            self._since_s = time.monotonic() if self._since_s is None else self._since_s

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read since the last batch."""
        return self._since_s is None

    @property
    def is_due(self) -> bool:
        """Whether it is time for a batch."""
        if self._since_s is None:
            return False
        is_much = self._n_rows >= self._limits.rows or self._size_bytes >= self._limits.size_bytes
        return is_much or time.monotonic() - self._since_s >= self._limits.every_s

    def make_batch(self, cuts: Cuts, secret: str) -> Batch:
        """All that waits, without the deleted visitors; nothing waits after it."""
        frames = {}
        left_out, self._left_out = self._left_out, Counter()
        for dataset in list(self._rows):
            self._fold(dataset)
            frame = pl.concat(self._frames.pop(dataset))
            if cuts and len(frame):
                digests = find_deleted(frame, dataset, cuts, secret)
                left_out[FORGOTTEN] += int(digests.is_not_null().sum())
                frame = frame.filter(digests.is_null())
            frames[dataset] = frame
        offsets = {topic: tuple(ends) for topic, ends in self._offsets.items()}
        self._rows, self._n_rows, self._size_bytes, self._since_s = {}, 0, 0, None
        return Batch(frames, offsets, left_out)

    def _fold(self, dataset: str) -> None:
        rows = self._rows[dataset]
        frame = to_frame(rows) if dataset == EVENTS else to_record_frame(rows)
        self._frames.setdefault(dataset, []).append(frame)
        self._rows[dataset] = []
