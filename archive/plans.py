"""What to merge into files of days, and when. Pure: over manifests and the clock."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sources.archive.manifest import ArchivedFile, Manifest

MERGE_ROWS = 500_000
"""Rows of a file of a day, about. It bounds the memory of a merge."""
SMALL_ROWS = 125_000
"""A file of a day with fewer rows is small; a day that is not over waits until it has as many."""
MOST_RECENT = 32
"""So many recent files are merged into one, also if they have few rows."""
MOST_SMALL = 4
"""So many small files of a day are merged into one."""
SETTLE_MS = 3_600_000
"""A day is over this long after its end: by then nearly all of its events have come."""
_DAY_MS = 86_400_000


class Merge(NamedTuple):
    """Files to merge. `days` are those whose rows go to files of their own; the rest stays recent.

    With `is_small_files` the inputs are small files of one day, which leave it before the new one comes.
    """

    dataset: str
    inputs: tuple[ArchivedFile, ...]
    days: frozenset[str]
    is_small_files: bool = False


def last_settled_day(now_ms: int) -> str:
    """The newest UTC day that is over, as `2026-11-30`."""
    moment_ms = now_ms - SETTLE_MS - _DAY_MS
    return datetime.fromtimestamp(moment_ms / 1_000, UTC).strftime("%Y-%m-%d")


def plan_merge(manifest: Manifest, now_ms: int, *, caught_up: bool) -> Merge | None:
    """The next merge that is due, None without one. After each of them, plan again.

    Recent files are merged when there are enough rows of them, and once a day, so that each day that is over
    goes to files of its own: not before everything is read, or a long past would come to many small files.
    What comes later for such a day waits until the next time.
    """
    settled = last_settled_day(now_ms)
    for dataset in sorted({file.dataset for file in manifest.files}):
        all_recent = manifest.of(dataset, recent=True)
        for file in all_recent:
            if file.returns:
                return Merge(dataset, (file,), frozenset(file.days))
        recent = [file for file in all_recent if not file.returns]
        is_daily = caught_up and manifest.merged_day < settled
        is_daily = is_daily and any(day <= settled for file in recent for day in file.days)
        is_much = sum(file.rows for file in recent) >= MERGE_ROWS or len(recent) >= MOST_RECENT
        if is_daily or is_much:
            merge = _merge_recent(dataset, recent, settled if is_daily else "")
            if merge is not None:
                return merge
        merge = _merge_small(dataset, manifest.of(dataset, recent=False))
        if merge is not None:
            return merge
    return None


def _merge_recent(dataset: str, recent: Sequence[ArchivedFile], settled: str) -> Merge | None:
    """The oldest files, as many as a merge may have rows; those with rows of settled days first."""
    first = [file for file in recent if any(day <= settled for day in file.days)]
    inputs: list[ArchivedFile] = []
    rows = 0
    for file in first or recent:
        if inputs and rows + file.rows > MERGE_ROWS + SMALL_ROWS:
            break
        inputs.append(file)
        rows += file.rows
    counts: dict[str, int] = {}
    for file in inputs:
        for day, number in file.days.items():
            counts[day] = counts.get(day, 0) + number
    days = frozenset(day for day, number in counts.items() if day <= settled or number >= SMALL_ROWS)
    if not days and rows >= MERGE_ROWS:  # of many days: else they would be merged again and again
        days = frozenset(counts)
    if not days and len(inputs) < 2:
        return None
    return Merge(dataset, tuple(inputs), days)


def _merge_small(dataset: str, published: Sequence[ArchivedFile]) -> Merge | None:
    by_day: dict[str, list[ArchivedFile]] = {}
    for file in published:
        if file.rows < SMALL_ROWS:
            by_day.setdefault(next(iter(file.days)), []).append(file)
    for day, files in sorted(by_day.items()):
        if len(files) >= MOST_SMALL:
            return Merge(dataset, tuple(files[:MOST_SMALL]), frozenset({day}), is_small_files=True)
    return None
