"""Hostile and broken files: what is read of them at a time is bounded, whatever they hold."""

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from contracts.events import Event, EventType, encode
from sources import Source, UnknownFormat
from sources.lines import MAX_ROW_BYTES, split_lines
from sources.staging import Chunk, in_time_order, plan_chunks, stage_lines

HEADER = b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
ROW = b"2019-10-01 00:00:01 UTC,view,1,10,,,33.20,5,s1\n"
LINE = encode(Event("e", EventType.VIEW, 1_600_000_000_000, "u", "p")) + b"\n"
MIB = 2**20
MOST_BYTES = 288 * MIB
"""More than reading a small file takes. Held at once, the files below take more."""

_READ = """
import resource, sys
import orjson
from pathlib import Path
from sources import Rejected, Source, UnknownFormat

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def read(name):
    rejected, events = [], 0
    try:
        with Source(Path(name), currency="EUR") as source:
            for outcome in source.read():
                if not isinstance(outcome, Rejected):
                    events += 1
                elif len(rejected) < 5:
                    rejected.append([outcome.row, outcome.code])
    except UnknownFormat as exc:
        return {"error": str(exc)}
    return {"events": events, "rejected": rejected}

read(sys.argv[1])
before = peak()
found = read(sys.argv[2])
print(orjson.dumps(found | {"bytes": peak() - before}).decode())
"""


def repeat(piece: bytes, size: int) -> Iterator[bytes]:
    block = piece * (MIB // len(piece))
    yield from (block for _ in range(size // len(block)))


@pytest.mark.parametrize(
    ("name", "begin", "piece", "end", "expected"),
    [
        ("a.csv", b"", b"x", b"", {"error": "a.csv: the first line is longer than 262144 bytes"}),
        (
            "b.csv",
            HEADER + ROW,
            b"y,",
            b"\n" + ROW,
            {"events": 2, "rejected": [[2, "row.too_long"]]},
        ),
        (
            "c.csv",
            HEADER + ROW + ROW[:-3] + b'"',
            b"x" * 60 + b"\n",
            b"\n" + ROW,
            {"events": 2, "rejected": [[2, "row.open_quote"], *([n, "row.columns"] for n in (3, 4, 5, 6))]},
        ),
        (
            "d.jsonl",
            LINE + b'{"a": "',
            b"x",
            b'"}\n' + LINE,
            {"events": 2, "rejected": [[2, "row.too_long"]]},
        ),
        (
            "e.jsonl",
            LINE,
            b'{"a": "' + b"x" * 200_000 + b'"}\n',
            LINE,
            {"events": 2, "rejected": [[n, "event.too_large"] for n in (2, 3, 4, 5, 6)]},
        ),
    ],
)
def test_memory_is_bounded_whatever_a_file_holds(
    tmp_path: Path, name: str, begin: bytes, piece: bytes, end: bytes, expected: dict[str, object]
) -> None:
    small = tmp_path / "small.csv"
    small.write_bytes(HEADER + ROW)
    with (tmp_path / name).open("wb") as file:
        file.write(begin)
        file.writelines(repeat(piece, 160 * MIB if piece[-1:] != b"\n" or len(piece) > 100 else 16 * MIB))
        file.write(end)
    argv = [sys.executable, "-c", _READ, str(small), str(tmp_path / name)]
    found = orjson.loads(subprocess.run(argv, capture_output=True, check=True, timeout=240).stdout)
    assert found.pop("bytes") < MOST_BYTES
    assert found == expected


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz", "a.csv"])
@pytest.mark.parametrize(("begin", "piece"), [(HEADER + ROW, b"x"), (HEADER + ROW, b"\n"), (LINE, b"{}\n")])
def test_a_file_that_unpacks_to_a_hundred_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, begin: bytes, piece: bytes
) -> None:
    monkeypatch.setattr("sources.opening.ALWAYS_UNPACKED_BYTES", MIB)
    path = tmp_path / name
    with gzip.open(path, "wb") as file:
        file.write(begin)
        file.writelines(repeat(piece, 2 * MIB))
    assert path.stat().st_size < MIB // 100
    with pytest.raises(UnknownFormat, match="unpacks to more than 100 times its size"):
        Source(path, currency="EUR").open()


def test_an_endless_packed_line_is_not_read_to_its_end(tmp_path: Path) -> None:
    small, path = tmp_path / "small.csv", tmp_path / "a.csv.gz"
    small.write_bytes(HEADER + ROW)
    with gzip.open(path, "wb") as file:
        file.write(HEADER)
        file.writelines(repeat(b"x", 300 * MIB))
    argv = [sys.executable, "-c", _READ, str(small), str(path)]
    found = orjson.loads(subprocess.run(argv, capture_output=True, check=True, timeout=240).stdout)
    assert found.pop("bytes") < 32 * MIB
    assert "unpacks to more than 100 times its size" in found["error"]


def test_a_small_file_may_pack_well(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(HEADER + ROW * 20_000))
    assert path.stat().st_size * 200 < len(ROW) * 20_000
    with Source(path, currency="EUR") as source:
        assert sum(isinstance(outcome, Event) for outcome in source.read()) == 20_000


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 1_000])
def test_blocks_may_end_anywhere(block_bytes: int) -> None:
    text = b"one\r\ntwo\rthree\n\nfive\r\r\nseven"
    blocks = [text[at : at + block_bytes] for at in range(0, len(text), block_bytes)]
    assert list(split_lines(blocks)) == [b"one", b"two", b"three", b"", b"five", b"", b"seven"]
    assert list(split_lines([])) == []


def test_a_long_line_comes_cut_and_the_next_one_whole() -> None:
    first, second = split_lines([b"x" * MAX_ROW_BYTES, b"x" * 10, b"x" * MAX_ROW_BYTES + b"\nnext"])
    assert first == b"x" * (MAX_ROW_BYTES + 1)
    assert second == b"next"


def test_chunks_are_bounded_by_rows_and_bytes_and_never_split_a_time(tmp_path: Path) -> None:
    times = [None, 60_000, 60_001, 60_001, 60_001, None, 120_000, 60_002, *([None] * 2_000)]
    stage_lines(((n, at_ms, b"x" * 10) for n, at_ms in enumerate(times)), tmp_path)
    chunks = plan_chunks(tmp_path, chunk_rows=2)
    assert [chunk for chunk in chunks if chunk.timed] == [
        Chunk(True, 60_000, 60_001, 1),
        Chunk(True, 60_001, 60_002, 3),
        Chunk(True, 60_002, 180_000, 2),
    ]
    assert sum(chunk.rows for chunk in chunks) == len(times)
    by_bytes = plan_chunks(tmp_path, chunk_bytes=40)
    assert [chunk.rows for chunk in by_bytes if chunk.timed] == [4, 2]
    frames = list(in_time_order(tmp_path, chunks))
    rows = [row for frame in frames for row in frame["row"]]
    assert rows[-6:] == [1, 2, 3, 4, 7, 6]
    assert rows[:-6] == [0, 5, *range(8, 2_008)]


def test_more_rows_of_one_time_than_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sources.staging.SAME_TIME_ROWS", 3)
    stage_lines(((n, 60_000, b"x") for n in range(4)), tmp_path)
    with pytest.raises(UnknownFormat, match="4 rows have the same time"):
        plan_chunks(tmp_path, chunk_rows=2)
