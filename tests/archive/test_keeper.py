"""The archive's files through every step, and every kill between two of them: each row once."""

import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from archive.files import described_offsets
from archive.keeper import ArchiveTaken, Keeper, open_keeper
from contracts.deletions import digest_user
from contracts.events import Event, EventType
from sources.archive.manifest import Manifest
from sources.archive.reading import find_manifest, scan_events
from sources.archive.schema import to_frame, to_row
from sources.archive.stores import ArchiveError, ArchiveStore, open_store

TOPICS = ("view", "cart", "purchase")
DAY_MS = 86_400_000
FIRST_DAY_MS = 1_764_460_800_000  # 30 November 2025
GONE = "visitor-gone"
SECRET = "a secret of a test"  # noqa: S105 - of this test
CUTS = {digest_user(GONE, SECRET): FIRST_DAY_MS + 100 * DAY_MS}


class Killed(BaseException):
    """The process ends here, as by kill -9."""


class MortalStore:
    """A store whose process is killed before its `last`-th change; the changes before it are made."""

    def __init__(self, store: ArchiveStore, last: int) -> None:
        self.location = store.location
        self._store = store
        self._left = last

    def read(self, path: str) -> bytes:
        return self._store.read(path)

    def list(self, folder: str) -> list[str]:
        return self._store.list(folder)

    def scan(self, path: str) -> pl.LazyFrame:
        return self._store.scan(path)

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()

    def write(self, path: str, content: bytes) -> None:
        self._live()
        self._store.write(path, content)

    def create(self, path: str, content: bytes) -> None:
        self._live()
        self._store.create(path, content)

    def remove(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._live()
            self._store.remove([path])

    def _live(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveStore:
    """An empty store, of each kind; TEST_S3_BUCKET names a bucket of a server that AWS_ENDPOINT_URL names."""
    if request.param == "folder":
        return open_store(str(tmp_path / "archive"))
    if request.param == "memory":
        return open_store(f"memory://{tmp_path.name}/archive")
    bucket = os.environ.get("TEST_S3_BUCKET")
    if not bucket:
        pytest.skip("TEST_S3_BUCKET names no bucket; it needs s3fs and a server, such as moto_server")
    return open_store(f"s3://{bucket}/{uuid.uuid4().hex}")


def batch(first: int, rows: int) -> pl.DataFrame:
    """Events of offsets from `first` on, over three days, a tenth of them of the visitor who will go."""
    return to_frame(
        to_row(
            Event(
                f"e{offset}",
                EventType.VIEW if offset % 5 else EventType.PURCHASE,
                FIRST_DAY_MS + offset % 3 * DAY_MS + offset,
                GONE if offset % 10 == 3 else f"visitor-{offset % 7}",
                f"p{offset % 11}",
                extra={"said": f"hello {GONE}, bye"} if offset % 20 == 4 else None,
            ),
            "view",
            0,
            offset,
            FIRST_DAY_MS + offset,
        )
        for offset in range(first, first + rows)
    )


BATCHES = [(0, 40), (40, 1), (41, 30), (71, 9)]
ALL = range(80)
OF_THE_GONE = {offset for offset in ALL if offset % 10 == 3 or offset % 20 == 4}


def fill(keeper: Keeper, first: int, rows: int) -> None:
    """Add a batch, unless the archive has it."""
    if keeper.manifest.offsets["view"][0] <= first:
        keeper.add({"events": batch(first, rows)}, {"view": (first + rows,)})


def merge_all(keeper: Keeper) -> None:
    """Every merge that is due once a day."""
    keeper.manifest = replace(keeper.manifest, merged_day="")
    while keeper.merge_next(caught_up=True) is not None:
        pass


def step_fill(number: int) -> Callable[[Keeper], None]:
    return lambda keeper: fill(keeper, *BATCHES[number])


STEPS: list[Callable[[Keeper], object]] = [
    step_fill(0),
    merge_all,
    step_fill(1),
    merge_all,
    step_fill(2),
    merge_all,
    step_fill(3),
    merge_all,  # the fourth small file of a day: they become one
    lambda keeper: None if keeper.manifest.deletions == (1,) else keeper.clear(CUTS, SECRET, (1,)),
    merge_all,  # a file that was killed on its way back to its day
]


def current(store: ArchiveStore) -> Manifest:
    manifest = find_manifest(store)
    assert manifest is not None
    return manifest


def offsets_in(frame: pl.DataFrame) -> list[int]:
    return sorted(frame["offset"].to_list())


def seen_by_pattern(store: ArchiveStore) -> list[int]:
    """Offsets that a reader of `events/day=*/*.parquet` finds."""
    paths = [path for path in store.list("events") if path.endswith(".parquet")]
    return offsets_in(pl.concat([store.scan(path).collect() for path in paths])) if paths else []


def seen_by_manifest(store: ArchiveStore) -> list[int]:
    return offsets_in(scan_events(store, current(store)).collect())


def check_state(store: ArchiveStore) -> None:
    """What must hold at any moment, whatever was going on."""
    manifest = current(store)
    by_pattern, by_manifest = seen_by_pattern(store), seen_by_manifest(store)
    assert len(by_pattern) == len(set(by_pattern)), "no row twice for a plain pattern"
    assert len(by_manifest) == len(set(by_manifest)), "no row twice for a reader of the manifest"
    read = range(manifest.offsets["view"][0])
    removed = sum(one.removed for one in manifest.cleared)
    assert set(read) - set(by_manifest) <= OF_THE_GONE
    assert len(read) - len(by_manifest) == removed
    assert set(by_pattern) <= set(read)


def test_every_step_killed_at_every_change_leaves_each_row_once(store: ArchiveStore) -> None:
    open_keeper(store, TOPICS, 1)
    kills = 0
    for step in STEPS:
        for change in range(1_000):
            mortal = MortalStore(store, change)
            try:
                step(open_keeper(mortal, TOPICS, 1))
            except Killed:
                kills += 1
                check_state(store)
            else:
                break
        check_state(store)
    assert kills > 60
    manifest = current(store)
    assert seen_by_manifest(store) == sorted(set(ALL) - OF_THE_GONE)
    assert seen_by_pattern(store) == seen_by_manifest(store), "all days are over"
    assert {path.split("/")[1] for path in store.list("events")} == {
        "day=2025-11-30", "day=2025-12-01", "day=2025-12-02",
    }  # fmt: skip
    (clearance,) = manifest.cleared
    assert (clearance.removed, clearance.left, clearance.files > 2) == (len(OF_THE_GONE), 0, True)


def test_a_deleted_visitor_is_in_no_byte_of_any_file(store: ArchiveStore) -> None:
    keeper = open_keeper(store, TOPICS, 1)
    for first, rows in BATCHES:
        fill(keeper, first, rows)
        merge_all(keeper)
    assert any(GONE in texts_of(store, path) for path in store.list(""))
    (clearance,) = keeper.clear(CUTS, SECRET, (1,))
    assert (clearance.removed, clearance.left) == (len(OF_THE_GONE), 0)
    assert [path for path in store.list("") if GONE in texts_of(store, path)] == []
    again = keeper.clear(CUTS, SECRET, (2,))
    assert [(one.removed, one.left) for one in again] == [(0, 0)]


def texts_of(store: ArchiveStore, path: str) -> str:
    """Everything that a file says: its bytes, and its rows unpacked."""
    raw = store.read(path)
    rows = pl.read_parquet(BytesIO(raw)).rows() if path.endswith(".parquet") else ()
    return raw.decode("utf-8", "replace") + repr(rows)


def test_files_tell_their_offsets(store: ArchiveStore) -> None:
    keeper = open_keeper(store, TOPICS, 1)
    fill(keeper, 0, 40)
    (file,) = keeper.manifest.files
    assert described_offsets(store.read(file.path)) == {"view": {"0": (0, 39)}}
    merge_all(keeper)
    ranges = [described_offsets(store.read(file.path))["view"]["0"] for file in keeper.manifest.files]
    assert sorted(ranges) == [(0, 39), (1, 37), (2, 38)]


def test_only_the_last_who_claims_an_archive_writes_it(store: ArchiveStore) -> None:
    first = open_keeper(store, TOPICS, 1)
    fill(first, 0, 40)
    second = open_keeper(store, TOPICS, 1)
    with pytest.raises(ArchiveTaken, match="another process writes"):
        first.add({"events": batch(40, 1)}, {"view": (41,)})
    fill(second, 40, 1)
    assert seen_by_manifest(store) == list(range(41))
    second.sweep()
    assert len(store.list("recent")) == 2, "what the first one wrote is no part of it"


def test_a_folder_is_held_by_one_process(tmp_path: Path) -> None:
    with (
        open_store(str(tmp_path)).hold(),
        pytest.raises(ArchiveError, match="another process writes"),
        open_store(str(tmp_path)).hold(),
    ):
        pass


def test_files_removed_by_hand_are_named(store: ArchiveStore) -> None:
    keeper = open_keeper(store, TOPICS, 1)
    fill(keeper, 0, 40)
    store.remove([keeper.manifest.files[0].path])
    with pytest.raises(ArchiveError, match=r"lacks recent/events/.*, which its manifest 2 lists"):
        merge_all(keeper)
