"""The archive of a shop's events: parquet files by day in a folder or object store, and their readers."""

from sources.archive.locations import archive_at as archive_at
from sources.archive.manifest import ArchivedFile as ArchivedFile
from sources.archive.manifest import Manifest as Manifest
from sources.archive.reading import find_manifest as find_manifest
from sources.archive.reading import scan_events as scan_events
from sources.archive.stores import ArchiveError as ArchiveError
from sources.archive.stores import ArchiveStore as ArchiveStore
from sources.archive.stores import open_store as open_store
