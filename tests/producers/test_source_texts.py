"""Files as editors, spreadsheets and other systems write them: read rightly, or rejected by name."""

import gzip
from pathlib import Path

import pytest

from contracts.events import Event, EventType, encode
from sources import Rejected, Source, UnknownFormat

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
ROWS = (
    "2019-10-01 00:00:01 UTC,view,1,10,a.b,Löwe,33.20,5,s1\n"
    "2019-10-01 00:00:02 UTC,view,2,10,a.b,,33.20,6,s2\n"
    "2019-10-01 00:00:03 UTC,purchase,3,10,a.b,,33.20,7,s3\n"
)
TEXT = HEADER + ROWS


def read(path: Path, content: bytes, format_name: str | None = None) -> list[Event | Rejected]:
    path.write_bytes(content)
    with Source(path, currency="EUR", format_name=format_name) as source:
        return list(source.read())


def events_of(path: Path, content: bytes) -> list[Event]:
    outcomes = read(path, content)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    return [outcome for outcome in outcomes if isinstance(outcome, Event)]


def rejected(outcomes: list[Event | Rejected]) -> list[tuple[int, str]]:
    return [(outcome.row, outcome.code) for outcome in outcomes if isinstance(outcome, Rejected)]


@pytest.fixture
def plain(tmp_path: Path) -> list[Event]:
    """The events of `TEXT` as it stands here."""
    events = events_of(tmp_path / "plain.csv", TEXT.encode())
    assert [event.brand for event in events] == ["Löwe", None, None]
    return events


@pytest.mark.parametrize(
    "ended",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.replace("\n", "\r\n", 2),
        TEXT.replace("\n", "\r", 2),
        TEXT.rstrip("\n"),
        TEXT.replace("\n", "\r").rstrip("\r"),
        f"\n\r\n{TEXT}\n\n",
    ],
)
def test_line_ends_may_be_any_and_mixed_and_absent_at_the_end(
    tmp_path: Path, plain: list[Event], ended: str
) -> None:
    assert events_of(tmp_path / "r.csv", ended.encode()) == plain


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be-sig"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_any_encoding_of_unicode_is_read_with_and_without_its_mark(
    tmp_path: Path, plain: list[Event], encoding: str, packed: bool
) -> None:
    raw = ("\ufeff" + TEXT).encode("utf-32-be") if encoding == "utf-32-be-sig" else TEXT.encode(encoding)
    # Whether it is packed is seen in the bytes, not in the name.
    assert events_of(tmp_path / "r.csv", gzip.compress(raw) if packed else raw) == plain


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_separators_of_other_countries_and_programs_are_found(
    tmp_path: Path, plain: list[Event], separator: str
) -> None:
    text = TEXT.replace(",", separator)
    assert events_of(tmp_path / "r.csv", text.encode()) == plain
    assert events_of(tmp_path / "s.csv", f"sep={separator}\r\n{text}".encode()) == plain
    assert events_of(tmp_path / "q.csv", text.replace("event_time", '"event_time"').encode("utf-16")) == plain


def test_a_decimal_comma_is_read_where_semicolons_separate(tmp_path: Path) -> None:
    text = TEXT.replace(",", ";").replace("33.20", "33,20").encode()
    assert [event.price_minor for event in events_of(tmp_path / "r.csv", text)] == [3_320] * 3
    grouped = TEXT.replace(",", ";").replace("33.20", "1.033,20").encode()
    assert rejected(read(tmp_path / "g.csv", grouped)) == [(n, "price.not_number") for n in (1, 2, 3)]


def test_a_quoted_value_may_hold_line_ends_and_separators(tmp_path: Path) -> None:
    text = HEADER + (
        '2019-10-01 00:00:04 UTC,view,1,2,"a.b","Dr. Martens, ""AirWair""",10.00,u1,s1\n'
        '2019-10-01 00:00:05 UTC,view,2,2,"multi\nline\r\n\n  text",x,10.00,u1,s1\n'
        "2019-10-01 00:00:06 UTC,view,3,2,a.b,x,10.00,u1,s1\n"
    )
    events = events_of(tmp_path / "r.csv", text.encode())
    assert [event.brand for event in events] == ['Dr. Martens, "AirWair"', "x", "x"]
    assert [event.category for event in events] == ["a.b", "multi line text", "a.b"]


def test_a_stray_quote_hides_no_other_row(tmp_path: Path) -> None:
    text = HEADER + (
        '2019-10-01 00:00:01 UTC,view,1,2,,"open,1.0,7,s\n'
        "2019-10-01 00:00:02 UTC,view,2,2,,,1.0,7,s\n"
        '2019-10-01 00:00:03 UTC,view,3,2,"home, garden",,1.0,7,s\n'
        '2019-10-01 00:00:04 UTC,view,4,2,,7" tablet,1.0,7,s\n'
        '2019-10-01 00:00:05 UTC,view,5,2,,,1.0,7,"s\n'
    )
    outcomes = read(tmp_path / "r.csv", text.encode())
    assert rejected(outcomes) == [(1, "row.open_quote"), (5, "row.open_quote")]
    assert [outcome.product_id for outcome in outcomes if isinstance(outcome, Event)] == ["2", "3", "4"]


def test_ids_that_a_spreadsheet_rounded_are_refused_and_whole_ones_taken_back(tmp_path: Path) -> None:
    row = "2019-10-01 00:00:0{second} UTC,purchase,{product},2.05301E+18,,,1.00,{user},{session}\n"
    cells = [
        ("1004237", "5.35871E+08", "s"),
        ("1004237.0", "535871217.0", "s"),
        ("5.1E+12", "u", "s"),
        ("1", "u", "5,35871E+08"),
        ("1", "5.35871217e+08", "s"),
        ("1", "2053013555631882655.0", "s"),
        ("1E5", "12E-4", "5.0.0"),
    ]
    rows = [
        row.format(second=second, product=f'"{product}"', user=user, session=f'"{session}"')
        for second, (product, user, session) in enumerate(cells)
    ]
    outcomes = read(tmp_path / "r.csv", (HEADER + "".join(rows)).encode())
    assert rejected(outcomes) == [
        (1, "user_id.rounded"),
        (3, "product_id.rounded"),
        (4, "session_id.rounded"),
        (5, "user_id.rounded"),
        (6, "user_id.rounded"),
    ]
    taken = [(o.product_id, o.user_id, o.session_id) for o in outcomes if isinstance(o, Event)]
    assert taken == [("1004237", "535871217", "s"), ("1E5", "12E-4", "5.0.0")]
    first = next(outcome for outcome in outcomes if isinstance(outcome, Rejected))
    assert "export the column as text" in first.detail


def test_what_a_failed_formula_shows_is_no_id(tmp_path: Path) -> None:
    rows = [f"2019-10-01 00:00:00 UTC,view,{cell},1,,,1.00,u,s\n" for cell in ("#N/A", "#REF!", "#12")]
    outcomes = read(tmp_path / "r.csv", (HEADER + "".join(rows)).encode())
    assert rejected(outcomes) == [(1, "product_id.cell_error"), (2, "product_id.cell_error")]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("r.csv", HEADER.replace("brand", "user_id") + ROWS, r"columns 6 and 8 are both called user_id"),
        ("r.csv", HEADER.replace("brand", "price ") + ROWS, r"columns 6 and 7 are both called price"),
        ("r.csv", ROWS, r"the columns \(2019-10-01 00:00:01 UTC, .* the first line must name the columns"),
        ("r.csv", HEADER, r"r\.csv has no rows"),
        ("r.csv", HEADER + "\n\r\n\r", r"r\.csv has no rows"),
        ("r.csv", "", r"r\.csv is empty"),
        ("r.csv", " \n\t\n", r"r\.csv is empty"),
        ("r.jsonl", "", r"r\.jsonl is empty"),
        ("r.json", '[\n {"event_type": "view"}\n]', r"is one JSON array; .* jq -c '\.\[\]' r\.json"),
        ("r.csv", b"PK\x03\x04rest", r"a zip archive or a spreadsheet; .* save the sheet as CSV UTF-8"),
        ("r.csv.zst", b"\x28\xb5\x2f\xfdrest", r"compressed with zstd; unpack it first: zstd -d r\.csv\.zst"),
        ("r.jsonl.xz", b"\xfd7zXZ\x00rest", r"unxz r\.jsonl\.xz"),
        (
            "r.csv",
            HEADER.encode("utf-16") + b"\x00",
            r"begins as UTF-16-LE text and continues as something else",
        ),
        ("r.csv", bytes(200), r"r\.csv is not text"),
        ("r.csv", HEADER.replace("brand", "größe").encode("latin-1"), r"first line: the row must be UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_rightly_is_refused_with_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, says: str
) -> None:
    raw = content.encode() if isinstance(content, str) else content
    with pytest.raises(UnknownFormat, match=says):
        read(tmp_path / name, raw)


def test_columns_without_a_name_are_left_out(tmp_path: Path, plain: list[Event]) -> None:
    text = TEXT.replace("\n", ",,\n").encode()
    assert [e._replace(event_id="") for e in events_of(tmp_path / "r.csv", text)] == [
        event._replace(event_id="") for event in plain
    ]


def test_taobao_may_have_a_header(tmp_path: Path) -> None:
    rows = "1,2268318,2520377,pv,1511544070\n1,2333346,2520771,buy,1511561733\n"
    header = "user_id,item_id,category_id,behavior_type,timestamp\n"
    assert events_of(tmp_path / "h.csv", (header + rows).encode()) == events_of(
        tmp_path / "p.csv", rows.encode()
    )


EVENTS = [Event(f"e{n}", EventType.VIEW, 1_600_000_000_000 + n, "u", "p", brand="Löwe") for n in range(3)]
LINES = b"\n".join(encode(event) for event in EVENTS)


@pytest.mark.parametrize(
    "written",
    [
        b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n") + b"\r\n\r\n",
        LINES.replace(b"\n", b"\r"),
        LINES.decode().encode("utf-16"),
        gzip.compress(LINES.decode().encode("utf-16-le")),
        LINES.replace(b"\n", b"\n\xef\xbb\xbf"),
    ],
)
@pytest.mark.parametrize("name", ["e.jsonl", "e.txt"])
def test_json_lines_are_read_in_any_encoding_with_any_line_ends(
    tmp_path: Path, written: bytes, name: str
) -> None:
    assert events_of(tmp_path / name, written) == EVENTS


@pytest.mark.parametrize(
    "member",
    [
        b'"user_id": "other"',
        b'"user_id" :"other"',
        b'"user\\u005fid": "other"',
        b'"note": {"a": 1, "a": 2}',
        b'"note": "a\\u003ab", "user_id": "u"',
    ],
)
def test_a_name_given_twice_is_refused(tmp_path: Path, member: bytes) -> None:
    good = encode(EVENTS[0])
    outcomes = read(tmp_path / "e.jsonl", good + b"\n" + good[:-1] + b", " + member + b"}")
    assert [(o.row, o.code) for o in outcomes if isinstance(o, Rejected)] == [(2, "event.repeated_field")]
    assert outcomes[-1] == Rejected(2, "event.repeated_field", *outcomes[-1][2:])
    named = "a" if b"note" in member and b"user" not in member else "user_id"
    assert f"the field {named} is there more than once" in outcomes[-1][2]


def test_colons_in_values_are_no_names(tmp_path: Path) -> None:
    event = Event(
        "e", EventType.VIEW, 1_600_000_000_000, "u:1", "p", extra={"url": "https://a:1", "x": {"y": '":'}}
    )
    assert events_of(tmp_path / "e.jsonl", encode(event)) == [event]
