"""Commands about an archive that is there: its files, and giving it up."""

import sys
from typing import cast

import orjson
import typer

from connections.redis import open_redis
from contracts.keys import Keys
from contracts.settings import Settings
from sources.archive import ArchiveError, find_manifest, open_store

EXIT_FAILED = 1


def run_files(location: str, *, as_json: bool) -> int:
    """Print the files that are the archive now, each row of it in one of them."""
    try:
        store = open_store(location)
        manifest = find_manifest(store)
    except ArchiveError as exc:
        typer.echo(str(exc), err=True)
        return EXIT_FAILED
    if manifest is None:
        typer.echo(f"{location} is no archive", err=True)
        return EXIT_FAILED
    if as_json:
        files = [
            {
                "path": f"{store.location}/{file.path}",
                "dataset": file.dataset,
                "days": dict(file.days),
                "rows": file.rows,
                "bytes": file.size_bytes,
                "recent": file.recent,
            }
            for file in manifest.files
        ]
        sys.stdout.write(orjson.dumps(files, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        for file in manifest.files:
            typer.echo(f"{store.location}/{file.path}")
    return 0


def run_give_up(settings: Settings, location: str) -> int:
    """Forget an archive: deletions do not wait for it any more. Its files stay where they are."""
    try:
        store = open_store(location)
        manifest = find_manifest(store)
    except ArchiveError as exc:
        typer.echo(str(exc), err=True)
        return EXIT_FAILED
    with open_redis(settings) as client:
        key = Keys(settings.namespace, settings.partitions).archives()
        known = {
            archive_id.decode(): orjson.loads(state)["location"]
            for archive_id, state in cast(dict[bytes, bytes], client.hgetall(key)).items()
        }
        ids = [
            archive_id
            for archive_id, where in known.items()
            if where == store.location or (manifest is not None and archive_id == manifest.archive_id)
        ]
        if not ids:
            typer.echo(f"no archive of this installation is in {store.location}", err=True)
            return EXIT_FAILED
        client.hdel(key, *ids)
    typer.echo(f"deletions do not wait for {store.location} any more; its files are yours to remove")
    return 0
