"""The archive as its one writer has it: claimed, added to, merged, and cleared of deleted visitors.

Each step writes new files first and decides with the next manifest; what it replaces is removed after that.
So a process that ends anywhere leaves files that no manifest lists, which the next one removes.
"""

import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import polars as pl

from archive.cuts import Cuts, columns_needed, find_deleted
from archive.files import day_expression, days_of, encode_file
from archive.plans import Merge, last_settled_day, plan_merge
from contracts.clock import wall_clock_ms
from sources.archive.manifest import (
    EVENTS,
    FOLDER,
    RECENT,
    RECORDS,
    ArchivedFile,
    Clearance,
    Manifest,
    encode_manifest,
    folder_of,
    generation_of,
    manifest_path,
)
from sources.archive.reading import find_manifest
from sources.archive.stores import ArchiveError, ArchiveStore

GRACE_MS = 600_000
"""Merged files stay this long for whoever reads by an earlier manifest."""
MANIFESTS_KEPT = 3
CLEARED_KEPT = 200
"""Newest clearings of deleted visitors that the manifest has."""
_log = logging.getLogger(__name__)


class ArchiveTaken(ArchiveError):
    """Another process writes this archive now."""


class Keeper:
    """The writer of one archive, from its claim until another process claims it.

    Whatever is raised but `ArchiveTaken`, the next `open_keeper` goes on from the newest manifest.
    """

    def __init__(self, store: ArchiveStore, manifest: Manifest) -> None:
        self.store = store
        self.manifest = manifest
        self._names = 0

    def add(self, frames: Mapping[str, pl.DataFrame], offsets: Mapping[str, Sequence[int]]) -> int:
        """Add rows by dataset, up to these next offsets by topic; returns the bytes written."""
        added = [self._write(dataset, frame, "") for dataset, frame in frames.items() if len(frame)]
        ends = {topic: tuple(numbers) for topic, numbers in offsets.items()}
        self._commit(replace(self.manifest.with_files(added), offsets={**self.manifest.offsets, **ends}))
        return sum(file.size_bytes for file in added)

    def merge_next(self, *, caught_up: bool) -> Merge | None:
        """Do the next merge that is due, if there is one."""
        now_ms = wall_clock_ms()
        merge = plan_merge(self.manifest, now_ms, caught_up=caught_up)
        if merge is not None:
            self._merge(merge)
        elif caught_up:
            self.manifest = replace(self.manifest, merged_day=last_settled_day(now_ms))
        return merge

    def clear(self, cuts: Cuts, secret: str, deletions: Sequence[int]) -> list[Clearance]:
        """Remove these deleted visitors from every file; `deletions` are the next offsets of their topic.

        A file is looked at, and written anew without them if it has any: a file of a day leaves it for the
        moment it takes to come back.
        """
        self._remove_retired(after_ms=0)
        self.sweep()
        files = self.manifest.files
        left: Counter[str] = Counter()
        for file in files:
            names = self._read(file, columns_needed(file.dataset))
            if find_deleted(names, file.dataset, cuts, secret).is_not_null().any():
                left += self._rewrite(file, cuts, secret)
        done = [
            replace(one, files=len(files), left=left[one.digest], at_ms=wall_clock_ms())
            for one in self._clearances(cuts)
        ]
        self._commit(replace(self._with_clearances(self.manifest, done), deletions=tuple(deletions)))
        return done

    def sweep(self) -> None:
        """Remove what no manifest lists: files of steps that did not come to their end, and old manifests."""
        known = {file.path for file in self.manifest.files} | {file.path for file in self.manifest.retired}
        folders = (EVENTS, RECORDS, RECENT, f"{FOLDER}/writing")
        stray = [path for folder in folders for path in self.store.list(folder) if path not in known]
        if stray:
            _log.info("%d files of steps that did not come to their end are removed", len(stray))
            self.store.remove(stray)
        kept_from = self.manifest.generation - MANIFESTS_KEPT
        manifests = [
            path for path in self.store.list(FOLDER) if (generation_of(path) or kept_from) < kept_from
        ]
        self.store.remove(manifests)

    def drop_retired(self) -> None:
        """Remove merged files that nobody can be reading any more; the next manifest does not name them."""
        self._remove_retired(after_ms=GRACE_MS)

    def _merge(self, merge: Merge) -> None:
        """Bring rows to files of their days; small files of a day into one, which comes back to it."""
        rows = pl.concat([self._read(file) for file in merge.inputs])
        if merge.is_small_files:
            added = [self._write(merge.dataset, rows, "", returns=True)]
            self._commit(self.manifest.with_files(added, merge.inputs))
            self.store.remove(file.path for file in merge.inputs)
            return
        day = day_expression(merge.dataset)
        added = [self._write(merge.dataset, rows.filter(day == each), each) for each in sorted(merge.days)]
        rest = rows.filter(~day.is_in(sorted(merge.days)))
        if len(rest):
            added.append(self._write(merge.dataset, rest, ""))
        self._commit(self.manifest.with_files(added, merge.inputs, retired_ms=wall_clock_ms()))

    def _rewrite(self, file: ArchivedFile, cuts: Cuts, secret: str) -> Counter[str]:
        """Replace a file by one without the deleted; rows of theirs that the new one has, by digest."""
        rows = self._read(file)
        digests = find_deleted(rows, file.dataset, cuts, secret)
        kept = rows.filter(digests.is_null())
        added = [self._write(file.dataset, kept, "", returns=not file.recent)] if len(kept) else []
        again = [find_deleted(self._read(each), each.dataset, cuts, secret) for each in added]
        removed = Counter(digests.drop_nulls())
        under_way = [
            replace(one, removed=one.removed + removed[one.digest], at_ms=0)
            for one in self._clearances(removed)
        ]
        self._commit(self._with_clearances(self.manifest.with_files(added, [file]), under_way))
        self.store.remove([file.path])
        if added and not file.recent:
            self._merge(Merge(file.dataset, tuple(added), frozenset(added[0].days)))
        return Counter(digest for each in again for digest in each.drop_nulls())

    def _clearances(self, digests: Iterable[str]) -> list[Clearance]:
        """What is written down of the clearing of these visitors that is under way."""
        known = {one.digest: one for one in self.manifest.cleared if not one.at_ms}
        return [known.get(digest, Clearance(digest)) for digest in digests]

    def _with_clearances(self, manifest: Manifest, changed: Sequence[Clearance]) -> Manifest:
        digests = {one.digest for one in changed}
        known = (*[one for one in manifest.cleared if one.digest not in digests], *changed)
        under_way = [one for one in known if not one.at_ms]
        return replace(manifest, cleared=(*under_way, *[one for one in known if one.at_ms][-CLEARED_KEPT:]))

    def _read(self, file: ArchivedFile, columns: Sequence[str] | None = None) -> pl.DataFrame:
        try:
            frame = self.store.scan(file.path)
            return (frame if columns is None else frame.select(columns)).collect()
        except FileNotFoundError as exc:
            raise ArchiveError(
                f"{self.store.location} lacks {file.path}, which its manifest {self.manifest.generation} "
                "lists: was it removed by hand?"
            ) from exc

    def _write(self, dataset: str, rows: pl.DataFrame, day: str, *, returns: bool = False) -> ArchivedFile:
        """Write rows to a file of a day, or to a recent one; it counts from the next manifest on."""
        self._names += 1
        name = f"{self.manifest.generation + 1:012d}-{self.manifest.writer}-{self._names}.parquet"
        path = f"{folder_of(dataset, day)}/{name}"
        content = encode_file(rows, dataset)
        self.store.write(path, content)
        return ArchivedFile(
            path, dataset, len(rows), len(content), days_of(rows, dataset), not day, wall_clock_ms(), returns
        )

    def _commit(self, manifest: Manifest) -> None:
        """Make this the archive; raises `ArchiveTaken` if it is another process's by now."""
        manifest = replace(manifest, generation=self.manifest.generation + 1, written_ms=wall_clock_ms())
        _create(self.store, manifest)
        self.manifest = manifest
        self.store.remove([manifest_path(manifest.generation - MANIFESTS_KEPT)])

    def _remove_retired(self, *, after_ms: int) -> None:
        until_ms = wall_clock_ms() - after_ms
        gone = {file.path for file in self.manifest.retired if file.since_ms <= until_ms}
        if gone:
            self.store.remove(sorted(gone))
            kept = tuple(file for file in self.manifest.retired if file.path not in gone)
            self.manifest = replace(self.manifest, retired=kept)


def open_keeper(store: ArchiveStore, topics: Iterable[str], partitions: int) -> Keeper:
    """Claim an archive, or begin one, for topics of so many partitions.

    From then on a process that had it gets `ArchiveTaken` with its next step. Raises `ArchiveError` if the
    archive is of more partitions than there are.
    """
    before = find_manifest(store)
    writer = uuid.uuid4().hex[:8]
    now_ms = wall_clock_ms()
    if before is None:
        before = Manifest(uuid.uuid4().hex, 0, writer, now_ms)
    most = max((len(ends) for ends in (*before.offsets.values(), before.deletions)), default=0)
    if most > partitions:
        raise ArchiveError(
            f"{store.location} is of an installation with {most} partitions, this one has {partitions}"
        )
    offsets = {topic: _padded(before.offsets.get(topic, ()), partitions) for topic in topics}
    manifest = replace(
        before,
        generation=before.generation + 1,
        writer=writer,
        written_ms=now_ms,
        offsets={**before.offsets, **offsets},
        deletions=_padded(before.deletions, partitions),
    )
    _create(store, manifest)
    keeper = Keeper(store, manifest)
    keeper.sweep()
    return keeper


def _padded(ends: Sequence[int], partitions: int) -> tuple[int, ...]:
    return (*ends, *[0] * (partitions - len(ends)))


def _create(store: ArchiveStore, manifest: Manifest) -> None:
    path, content = manifest_path(manifest.generation), encode_manifest(manifest)
    try:
        store.create(path, content)
    except FileExistsError as exc:
        if store.read(path) != content:  # it may be our own, of a try whose answer was lost
            raise ArchiveTaken(
                f"another process writes {store.location} now: one at a time, and it is that one"
            ) from exc
