"""Reading an archive: one moment of it, by its manifest, whatever is written meanwhile."""

from datetime import date

import polars as pl

from sources.archive.manifest import (
    EVENTS,
    FOLDER,
    InvalidManifest,
    Manifest,
    decode_manifest,
    generation_of,
    manifest_path,
)
from sources.archive.schema import EVENT_COLUMNS
from sources.archive.stores import ArchiveError, ArchiveStore

_ATTEMPTS = 5


def find_manifest(store: ArchiveStore) -> Manifest | None:
    """The newest manifest; None where there is no archive yet.

    Raises `ArchiveError` for one that cannot be read, `OSError` if the store cannot be reached.
    """
    for _ in range(_ATTEMPTS):
        found = [number for path in store.list(FOLDER) if (number := generation_of(path)) is not None]
        if not found:
            return None
        try:
            return decode_manifest(store.read(manifest_path(max(found))))
        except FileNotFoundError:  # newer ones came, and it was removed
            continue
        except InvalidManifest as exc:
            raise ArchiveError(f"{store.location}/{manifest_path(max(found))}: {exc}") from exc
    raise ArchiveError(f"the manifests of {store.location} go as fast as they come; read it again")


def scan_events(
    store: ArchiveStore, manifest: Manifest, *, first_day: date | None = None, last_day: date | None = None
) -> pl.LazyFrame:
    """Events as a lazy frame with the columns `EVENT_COLUMNS`, of these UTC days or of all; in no order.

    Each record once: an event that was sent twice is there twice, with the same `event_id`. What is selected
    and filtered is pushed down into files of this machine.
    """
    lowest, highest = str(first_day or ""), str(last_day or "9999-12-31")
    frames = []
    for file in manifest.of(EVENTS):
        inside = [day for day in file.days if lowest <= day <= highest]
        if inside:
            frame = store.scan(file.path)
            if len(inside) < len(file.days):
                frame = frame.filter(pl.col("event_time").dt.date().cast(pl.String).is_in(inside))
            frames.append(frame)
    return pl.concat(frames) if frames else pl.LazyFrame(schema=EVENT_COLUMNS)
