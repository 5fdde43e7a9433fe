"""The manifest of an archive: which files are its content, and up to where of each topic.

Every change of an archive is a new manifest, named after its generation. A generation is created once:
whoever finds that it is there has lost the archive to another process. Files that no manifest lists are no
part of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from contracts.fields import kind_of

MANIFEST_SCHEMA = 1
FOLDER = "_archive"
EVENTS = "events"
"""Dataset of the event topics; the dataset of another topic has its name."""
RECENT = "recent"
"""Folder of files whose rows are not in files of their days yet."""
RECORDS = "records"


class InvalidManifest(ValueError):
    """What is stored as a manifest is none, or one of a later version."""


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """One parquet file. `days` are its rows by UTC day, `path` is relative to the archive.

    A `recent` one is on its way to the files of its days; it lies where a plain pattern over those does not
    find it. One that `returns` replaces files that a day had before.
    """

    path: str
    dataset: str
    rows: int
    size_bytes: int
    days: Mapping[str, int]
    recent: bool
    added_ms: int
    returns: bool = False


@dataclass(frozen=True, slots=True)
class RetiredFile:
    """A file that is no part of the archive any more; readers of an earlier manifest may still read it."""

    path: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Clearance:
    """A deleted visitor, by their digest, cleared from every file.

    `files` were looked at, `removed` are the rows that went, `left` those that a second look still found.
    `at_ms` is when it was done, 0 until then.
    """

    digest: str
    files: int = 0
    removed: int = 0
    left: int = 0
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """The archive at one moment. `offsets` are the next ones by plain topic, a number per partition.

    `deletions` are the next offsets of the deletions that are applied to every file, `cleared` the newest of
    them. `merged_day` is the last UTC day whose rows were brought into files of their days.
    """

    archive_id: str
    generation: int
    writer: str
    written_ms: int
    offsets: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    deletions: tuple[int, ...] = ()
    merged_day: str = ""
    files: tuple[ArchivedFile, ...] = ()
    retired: tuple[RetiredFile, ...] = ()
    cleared: tuple[Clearance, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(file.rows for file in self.files)

    def of(self, dataset: str, *, recent: bool | None = None) -> list[ArchivedFile]:
        """The files of a dataset, in the order they were added; only `recent` ones, or only others."""
        return [
            file
            for file in self.files
            if file.dataset == dataset and (recent is None or file.recent is recent)
        ]

    def with_files(
        self,
        added: Iterable[ArchivedFile] = (),
        removed: Iterable[ArchivedFile] = (),
        *,
        retired_ms: int | None = None,
    ) -> "Manifest":
        """The manifest with other files; those removed are retired from `retired_ms` on, or just gone."""
        gone = {file.path for file in removed}
        kept = [file for file in self.files if file.path not in gone]
        retired = self.retired
        if retired_ms is not None:
            retired += tuple(RetiredFile(path, retired_ms) for path in sorted(gone))
        return replace(self, files=(*kept, *added), retired=retired)


def folder_of(dataset: str, day: str) -> str:
    """The folder of a dataset's day; of no day, that of its recent files."""
    if not day:
        return f"{RECENT}/{dataset}"
    return f"{EVENTS if dataset == EVENTS else f'{RECORDS}/topic={dataset}'}/day={day}"


def manifest_path(generation: int) -> str:
    """Where the manifest of a generation lies; names sort as generations do."""
    return f"{FOLDER}/manifest-{generation:012d}.json"


def generation_of(path: str) -> int | None:
    """The generation that a path is of; None for anything else."""
    name = path.rpartition("/")[2]
    digits = name.removeprefix("manifest-").removesuffix(".json")
    return int(digits) if name == f"manifest-{digits}.json" and digits.isdecimal() else None


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON."""
    return orjson.dumps({"schema": MANIFEST_SCHEMA, **asdict(manifest)}, option=orjson.OPT_INDENT_2)


def decode_manifest(raw: bytes) -> Manifest:
    """The manifest in JSON; raises `InvalidManifest`."""
    try:
        fields: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidManifest(f"a manifest must be JSON: {exc}") from exc
    if type(fields) is not dict:
        raise InvalidManifest(f"a manifest must be an object, got {kind_of(fields)}")
    schema = fields.pop("schema", None)
    if schema != MANIFEST_SCHEMA:
        raise InvalidManifest(f"schema must be {MANIFEST_SCHEMA}, got {schema!r}: was a later version here?")
    try:
        return Manifest(
            **{
                **fields,
                "offsets": {topic: tuple(ends) for topic, ends in fields["offsets"].items()},
                "deletions": tuple(fields["deletions"]),
                "files": tuple(ArchivedFile(**file) for file in fields["files"]),
                "retired": tuple(RetiredFile(**file) for file in fields["retired"]),
                "cleared": tuple(Clearance(**one) for one in fields["cleared"]),
            }
        )
    except (KeyError, TypeError, AttributeError) as exc:
        raise InvalidManifest(f"a manifest has other fields: {exc}") from exc
