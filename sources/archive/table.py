"""An archive as a source of events: staged on this machine in order of time, each event once."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import polars as pl

from contracts.events import Event
from sources.archive.manifest import EVENTS, Manifest
from sources.archive.reading import find_manifest
from sources.archive.schema import READ_COLUMNS, to_events
from sources.archive.stores import ArchiveError, ArchiveStore, open_store
from sources.formats import UnknownFormat
from sources.staging import in_time_order, plan_chunks

FORMAT_NAME = "archive"
_ARRIVAL = ("kafka_time", "topic", "partition", "offset")
_ATTEMPTS = 3


class ArchiveTable:
    """The events of an archive, as they are when they are staged.

    An event that was sent twice is one, that which arrived first; equal times are in the order of arrival.
    Raises `UnknownFormat` where there is no archive.
    """

    format_name = FORMAT_NAME
    unused_columns = ()

    def __init__(self, location: str) -> None:
        self._location = location
        self._store, _ = _open(location)

    def stage(self, folder: Path) -> None:
        """Write the rows with their number and time (epoch ms) to `folder`, in order of time."""
        copies = folder / "copies"
        copies.mkdir()
        self._stage_copies(copies)
        number = rows = 0
        for chunk in in_time_order(copies, plan_chunks(copies)):
            frame = chunk.sort("time_ms", *_ARRIVAL).unique("event_id", keep="first", maintain_order=True)
            staged = frame.select("time_ms", *READ_COLUMNS).with_row_index("row", offset=rows + 1)
            staged.with_columns(pl.col("row").cast(pl.Int64)).write_parquet(
                folder / f"part-{number:06d}.parquet", compression="zstd", compression_level=1
            )
            number, rows = number + 1, rows + len(frame)
        for part in copies.iterdir():
            part.unlink()

    def identities(self, chunks: Iterable[pl.DataFrame]) -> Iterator[bytes]:
        """What tells each staged row from others."""
        for chunk in chunks:
            for event_id in chunk["event_id"]:
                yield event_id.encode("utf-8", "replace")

    def read(self, chunks: Iterator[pl.DataFrame], currency: str) -> Iterator[Event]:
        """Events of the staged chunks; each has its currency already."""
        del currency
        for chunk in chunks:
            yield from to_events(chunk.filter(~pl.col("skipped")))

    def _stage_copies(self, folder: Path) -> None:
        """Every record, file by file; again from the start if a file went while it was read."""
        for attempt in range(_ATTEMPTS):
            _, manifest = _open(self._location)
            try:
                for number, file in enumerate(manifest.of(EVENTS)):
                    self._stage_file(file.path, folder / f"part-{number:06d}.parquet")
            except FileNotFoundError as exc:
                if attempt + 1 == _ATTEMPTS:
                    raise UnknownFormat(f"{self._location} lacks {exc.filename} of its manifest") from exc
            else:
                return

    def _stage_file(self, path: str, staged: Path) -> None:
        time_ms = pl.col("event_time").dt.epoch("ms").alias("time_ms")
        rows = self._store.scan(path).select(time_ms, *READ_COLUMNS, *_ARRIVAL)
        frame = rows.collect().sort("time_ms").with_row_index("row")
        frame.with_columns(pl.col("row").cast(pl.Int64)).write_parquet(
            staged, compression="zstd", compression_level=1
        )


def archive_fingerprint(location: str) -> str:
    """A digest that changes with what is in the archive."""
    _, manifest = _open(location)
    digest = blake2b(manifest.archive_id.encode(), digest_size=12)
    for file in sorted(manifest.of(EVENTS), key=lambda file: file.path):
        digest.update(f"{file.path} {file.rows} {file.size_bytes}\n".encode())
    return digest.hexdigest()


def _open(location: str) -> tuple[ArchiveStore, Manifest]:
    try:
        store = open_store(location)
        manifest = find_manifest(store)
    except ArchiveError as exc:
        raise UnknownFormat(str(exc)) from exc
    if manifest is None or not manifest.of(EVENTS):
        raise UnknownFormat(f"{location} is no archive, or one without events")
    return store, manifest
