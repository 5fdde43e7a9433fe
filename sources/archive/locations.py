"""Telling archives from files, where a path may be either."""

import re
from pathlib import Path

from sources.archive.manifest import FOLDER
from sources.archive.stores import OBJECT_STORES

_URL = re.compile(rf"({'|'.join(OBJECT_STORES)}):/+(.+)")


def archive_at(path: Path) -> str | None:
    """The location of the archive that a path names: a folder, or `s3://BUCKET/PATH`; None for a file.

    A `Path` holds a URL with one slash of its two.
    """
    url = _URL.fullmatch(path.as_posix())
    if url is not None:
        return f"{url[1]}://{url[2]}"
    return str(path) if (path / FOLDER).is_dir() else None
