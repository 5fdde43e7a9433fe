"""Where an archive lies: a folder, or an object store through fsspec. A write is whole or not there."""

import fcntl
import io
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from sources.archive.manifest import FOLDER

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")
"""Protocols whose objects appear whole or not at all, and can be created only if they are not there."""
_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
             "abfss": "adlfs"}  # fmt: skip
_TEMPORARY = f"{FOLDER}/writing"


class ArchiveError(Exception):
    """The archive cannot be read or written; says why and what to do."""


class ArchiveStore(Protocol):
    """Files of one archive; paths are relative to it, with `/`.

    Raises `OSError` where it cannot be reached.
    """

    location: str

    def read(self, path: str) -> bytes:
        """The content of a file; raises `FileNotFoundError`."""

    def write(self, path: str, content: bytes) -> None:
        """Put a file there, whole, in place of one that may be there."""

    def create(self, path: str, content: bytes) -> None:
        """Put a file there, whole; raises `FileExistsError` if there is one."""

    def list(self, folder: str) -> list[str]:
        """Paths of all files under a folder, sorted; none where there is no such folder."""

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; those that are gone already are no error."""

    def scan(self, path: str) -> pl.LazyFrame:
        """A parquet file as a lazy frame."""

    def hold(self) -> AbstractContextManager[None]:
        """While it is entered, no other process of this machine holds it; raises `ArchiveError`."""


class LocalStore:
    """A folder of this machine, or one that is mounted. A write is a rename of a file that is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.location = str(folder)

    def read(self, path: str) -> bytes:
        """See `ArchiveStore`."""
        return (self.folder / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """See `ArchiveStore`."""
        temporary = self._write_temporary(content)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(target)
        _sync_folder(target.parent)

    def create(self, path: str, content: bytes) -> None:
        """See `ArchiveStore`."""
        temporary = self._write_temporary(content)
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(temporary, target)  # unlike a rename it takes nobody's place
        finally:
            temporary.unlink()
        _sync_folder(target.parent)

    def list(self, folder: str) -> list[str]:
        """See `ArchiveStore`."""
        found = (path for path in (self.folder / folder).rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def remove(self, paths: Iterable[str]) -> None:
        """See `ArchiveStore`."""
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)

    def scan(self, path: str) -> pl.LazyFrame:
        """See `ArchiveStore`."""
        return pl.scan_parquet(self.folder / path, hive_partitioning=False)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """See `ArchiveStore`; the lock goes with the process that has it."""
        path = self.folder / FOLDER / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ArchiveError(f"another process writes {self.location}; one at a time does") from None
            yield

    def _write_temporary(self, content: bytes) -> Path:
        folder = self.folder / _TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / uuid.uuid4().hex
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path


class ObjectStore:
    """An object store that fsspec knows; its client takes credentials from where it always does."""

    def __init__(self, location: str) -> None:
        import fsspec  # here: folders of this machine need it not

        protocol = location.partition("://")[0]
        try:
            options: dict[str, Any] = {} if protocol == "memory" else {"use_listings_cache": False}
            self._files, self._root = fsspec.core.url_to_fs(location, **options)
        except ImportError as exc:
            package = _PACKAGES.get(protocol, protocol)
            raise ArchiveError(
                f"{location} needs the package {package}, which is not installed: pip install {package}"
            ) from exc
        self._root = self._root.rstrip("/")
        self.location = location.rstrip("/")

    def read(self, path: str) -> bytes:
        """See `ArchiveStore`."""
        content: bytes = self._files.cat_file(self._at(path))
        return content

    def write(self, path: str, content: bytes) -> None:
        """See `ArchiveStore`."""
        self._files.pipe_file(self._at(path), content)

    def create(self, path: str, content: bytes) -> None:
        """See `ArchiveStore`."""
        self._files.pipe_file(self._at(path), content, mode="create")

    def list(self, folder: str) -> list[str]:
        """See `ArchiveStore`."""
        self._files.invalidate_cache()
        start = len(self._root.lstrip("/")) + 1
        try:
            return sorted(path.lstrip("/")[start:] for path in self._files.find(self._at(folder)))
        except FileNotFoundError:
            return []

    def remove(self, paths: Iterable[str]) -> None:
        """See `ArchiveStore`."""
        for path in paths:
            try:
                self._files.rm_file(self._at(path))
            except FileNotFoundError:
                continue

    def scan(self, path: str) -> pl.LazyFrame:
        """See `ArchiveStore`: the whole object is read."""
        return pl.scan_parquet(io.BytesIO(self.read(path)))

    def hold(self) -> AbstractContextManager[None]:
        """See `ArchiveStore`: nothing holds an object store; a claim ends whoever had it before."""
        return nullcontext()

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"


def open_store(location: str) -> ArchiveStore:
    """The store at a folder's path or at `s3://`, `gs://`, `az://` and the like.

    Raises `ArchiveError` for a protocol that archives are not kept in, or whose package is missing.
    """
    protocol, separator, rest = location.partition("://")
    if not separator:
        return LocalStore(Path(location).absolute())
    if protocol in ("file", "local"):
        return LocalStore(Path(rest).absolute())
    if protocol not in OBJECT_STORES:
        raise ArchiveError(
            f"an archive lies in a folder or at one of {', '.join(OBJECT_STORES)} (s3://BUCKET/PATH), "
            f"got {protocol}://"
        )
    return ObjectStore(location)


def _sync_folder(folder: Path) -> None:
    """Have the disk know the folder's new entry."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
