"""Files of events, in any known format, and archives, read in order of event time."""

import hashlib
import tempfile
import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from pathlib import Path
from types import TracebackType

from polars.exceptions import PolarsError

from contracts.events import Event
from sources.archive.locations import archive_at
from sources.archive.table import ArchiveTable, archive_fingerprint
from sources.formats import FORMAT_NAMES as FORMAT_NAMES
from sources.formats import UnknownFormat as UnknownFormat
from sources.opening import is_parquet
from sources.parquet import ParquetTable
from sources.rows import Rejected as Rejected
from sources.sample import RowSample
from sources.sample import shared_part as shared_part
from sources.staging import CHUNK_ROWS, Chunk, in_time_order, plan_chunks, stage_lines
from sources.text import CsvTable, JsonLines, Lines, first_line

_EDGE_BYTES = 1 << 20
_JSON_NAMES = (".jsonl", ".ndjson", ".json")


class Source:
    """One file, or one archive, sorted by event time on disk, so that files larger than memory can be read.

    Use as a context manager: the sorted copy lives in the system's temporary folder until the end. `open`,
    or entering, makes it and raises `UnknownFormat` for a file that is damaged, without rows or of no known
    format, `OSError` for one that cannot be read.
    """

    def __init__(
        self, path: Path, *, currency: str, format_name: str | None = None, chunk_rows: int = CHUNK_ROWS
    ) -> None:
        self.path = path
        self.n_rows = 0
        self.sample = RowSample()
        """Of the rows that have a time."""
        self._chunks: list[Chunk] = []
        self._opened = False
        self._currency = currency
        self._format_name = format_name
        self._chunk_rows = chunk_rows

    @property
    def format_name(self) -> str:
        """Name of the format found."""
        if isinstance(self._reader, ArchiveTable):
            return self._reader.format_name
        return "jsonl" if isinstance(self._reader, JsonLines) else self._reader.table.name

    @property
    def unused_columns(self) -> tuple[str, ...]:
        """Columns that the format does not know; nothing of them comes into events."""
        if isinstance(self._reader, (JsonLines, ArchiveTable)):
            return ()
        known = self._reader.table.fields
        return tuple(column for column in self._reader.columns if column and column not in known)

    def open(self) -> "Source":
        """Read and sort the file."""
        if self.path.exists() and not self.path.is_file() and archive_at(self.path) is None:
            # It is read twice: a pipe would be empty then.
            raise UnknownFormat(f"{self.path.name} is neither a regular file nor the folder of an archive")
        self._temporary = tempfile.TemporaryDirectory(prefix="storepulse-sort-")
        self._folder = Path(self._temporary.name)
        try:
            self._reader = _open_reader(self.path, self._format_name)
            self._stage()
        except (EOFError, zlib.error, BadGzipFile, PolarsError) as exc:
            self._temporary.cleanup()
            raise UnknownFormat(f"{self.path.name} is damaged: {exc}") from exc
        except BaseException:
            self._temporary.cleanup()
            raise
        self._opened = True
        return self

    def __enter__(self) -> "Source":
        return self if self._opened else self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()

    def read(self, skip: int = 0) -> Iterator[Event | Rejected]:
        """Events by time, ties in file order, after the first `skip` rows; rows without a time come first."""
        return self._reader.read(in_time_order(self._folder, self._chunks, skip), self._currency)

    def _stage(self) -> None:
        if isinstance(self._reader, (ParquetTable, ArchiveTable)):
            self._reader.stage(self._folder)
        elif isinstance(self._reader, JsonLines):
            stage_lines(self._sampled(self._reader.staged_lines(self._currency)), self._folder)
        else:
            stage_lines(self._sampled(self._reader.staged_lines()), self._folder)
        self._chunks = plan_chunks(self._folder, self._chunk_rows)
        self.n_rows = sum(chunk.rows for chunk in self._chunks)
        if not self.n_rows:
            raise UnknownFormat(f"{self.path.name} has no rows after its header")
        if isinstance(self._reader, (ParquetTable, ArchiveTable)):
            for identity in self._reader.identities(in_time_order(self._folder, self._chunks)):
                self.sample.add(identity)

    def _sampled(self, lines: Lines) -> Iterator[tuple[int, int | None, bytes]]:
        for number, time_ms, line, identity in lines:
            if time_ms is not None:
                self.sample.add(identity)
            yield number, time_ms, line


def fingerprint(path: Path) -> str:
    """A digest of the file's size, beginning and end: changes with the file, quick for a large one.

    Of an archive it is one of its list of files.
    """
    location = archive_at(path)
    if location is not None:
        return archive_fingerprint(location)
    digest = hashlib.blake2b(digest_size=12)
    size = path.stat().st_size
    digest.update(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_EDGE_BYTES))
        file.seek(max(0, size - _EDGE_BYTES))
        digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()


def _open_reader(path: Path, format_name: str | None) -> ParquetTable | CsvTable | JsonLines | ArchiveTable:
    location = archive_at(path)
    if location is not None:
        return ArchiveTable(location)
    name = path.name.removesuffix(".gz")
    if name.endswith((".parquet", ".pq")) or is_parquet(path):
        return ParquetTable(path, format_name)
    first = first_line(path)
    named = format_name == "jsonl" or (format_name is None and name.endswith(_JSON_NAMES))
    if named or (format_name is None and first.lstrip().startswith(b"{")):
        return JsonLines(path, first)
    return CsvTable(path, format_name)
