"""Files of events: every format is found, sorted by time, and checked row by row."""

import gzip
import os
import random
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from contracts.events import Event, EventType, encode
from sources import Rejected, Source, UnknownFormat, fingerprint

REES46_HEADER = (
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
)
REES46_ROWS = (
    "2019-10-01 00:00:09 UTC,purchase,3,20,electronics.audio,apple,12.50,7,s1\n"
    "2019-10-01 00:00:00 UTC,view,1,10,,aqua,33.2,5,s2\n"
    "2019-10-01 00:00:04 UTC,remove_from_cart,2,10,,,0.00,5,\n"
)


def read(
    path: Path, skip: int = 0, chunk_rows: int = 250_000, format_name: str | None = None
) -> list[Event | Rejected]:
    with Source(path, currency="USD", format_name=format_name, chunk_rows=chunk_rows) as source:
        return list(source.read(skip))


def events_of(path: Path) -> list[Event]:
    outcomes = read(path)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
    return [outcome for outcome in outcomes if isinstance(outcome, Event)]


def written(path: Path, text: str | bytes) -> Path:
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("name", ["rees46.csv", "rees46.csv.gz"])
def test_rees46_csv_is_read_in_time_order(tmp_path: Path, name: str) -> None:
    first, second, third = events_of(written(tmp_path / name, REES46_HEADER + REES46_ROWS))
    assert [first.event_type, second.event_type, third.event_type] == ["view", "remove_from_cart", "purchase"]
    assert third._replace(event_id="") == Event(
        event_id="",
        event_type=EventType.PURCHASE,
        event_time_ms=1_569_888_009_000,
        user_id="7",
        product_id="3",
        session_id="s1",
        price_minor=1_250,
        currency="USD",
        category="electronics.audio",
        brand="apple",
        extra={"category_id": "20"},
    )
    assert (second.session_id, second.category, second.price_minor) == (None, None, 0)


def test_rees46_parquet_may_lack_columns_and_times_may_be_text(tmp_path: Path) -> None:
    at = datetime(2022, 10, 1, tzinfo=UTC)
    columns = {
        "event_type": ["cart"],
        "product_id": [5],
        "price": [2.62],
        "user_id": [9],
        "user_session": ["s"],
    }
    stamps = {"utc": [at], "naive": [at.replace(tzinfo=None)], "text": ["2022-10-01 00:00:00 UTC"]}
    for name, stamp in stamps.items():
        path = tmp_path / f"{name}.parquet"
        pl.DataFrame({"event_time": stamp, **columns}).write_parquet(path)
        (event,) = events_of(path)
        assert event[1:8] == (EventType.CART, 1_664_582_400_000, "9", "5", "s", 262, "USD")


def test_retailrocket_csv_names_its_columns_and_types_in_its_own_way(tmp_path: Path) -> None:
    text = (
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433221332118,257597,addtocart,355908,\n"
        "1433221999827,121688,transaction,15335,4000\n"
    )
    events = events_of(written(tmp_path / "events.csv", text))
    assert [e.event_type for e in events] == ["view", "cart", "purchase"]
    assert events[2][2:5] == (1_433_221_999_827, "121688", "15335")
    assert [e.order_id for e in events] == [None, None, "4000"]


def test_taobao_csv_has_no_header_and_is_unsorted(tmp_path: Path) -> None:
    text = (
        "1,2268318,2520377,pv,1511544070\n"
        "1,2333346,2520771,buy,1511561733\n"
        "100,2576651,149192,fav,1511572885\n"
        "100,3830808,4181361,cart,1511544000\n"
        "2,1,1,pv,-5\n"
        "2,1,1,pv,2134567890\n"
        "2,1,1,pv,soon\n"
    )
    outcomes = read(written(tmp_path / "UserBehavior.csv", text))
    events = [outcome for outcome in outcomes if isinstance(outcome, Event)]
    assert [e.event_type for e in events] == ["cart", "view", "purchase", "favorite"]
    assert (events[0].category, events[0].event_time_ms) == ("4181361", 1_511_544_000_000)
    rejected = {(o.row, o.code) for o in outcomes if isinstance(o, Rejected)}
    assert rejected == {(5, "event_time.too_early"), (6, "event_time.in_future"), (7, "event_time.not_time")}


def test_item_parquet_serves_retailrocket_and_taobao(tmp_path: Path) -> None:
    at = datetime(2017, 11, 26, 1, tzinfo=UTC)
    frame = pl.DataFrame(
        {"event_time": [at] * 3, "user_id": [1, 2, 3], "item_id": [4, 5, 6], "category_id": [7, 8, 9]}
    ).with_columns(pl.Series("event_type", ["view", "fav", "purchase"], dtype=pl.Categorical))
    frame.write_parquet(tmp_path / "a.parquet")
    events = events_of(tmp_path / "a.parquet")
    assert [(e.event_type, e.user_id, e.product_id, e.category) for e in events] == [
        ("view", "1", "4", "7"),
        ("favorite", "2", "5", "8"),
        ("purchase", "3", "6", "9"),
    ]


def test_a_table_with_the_names_of_the_contract_loses_none_of_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(
        "event_time,event_type,user_id,product_id,price,currency,quantity,category,session_id,order_id,colour\n"
        "2026-11-20T10:00:00Z,purchase,u1,p1,9.90,USD,2,shoes,s1,o1,red\n"
        "1795255200000,view,u2,p1,,,,,s2,,\n"
    )
    with Source(path, currency="EUR") as source:
        first, second = source.read()
        assert (source.format_name, source.unused_columns) == ("events", ("colour",))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.order_id, first.session_id, first.quantity, first.price_minor) == ("o1", "s1", 2, 990)
    assert (first.currency, first.category, second.event_type) == ("USD", "shoes", EventType.VIEW)


@pytest.mark.parametrize("name", ["events.jsonl", "events.ndjson", "events.jsonl.gz"])
def test_json_lines_give_back_what_was_written(tmp_path: Path, name: str) -> None:
    events = [
        Event(f"e{i}", EventType.VIEW, 1_600_000_000_000 + i, "u", "p", extra={"name": "Lamp"})
        for i in range(5)
    ]
    lines = b"\n".join(encode(event) for event in reversed(events))
    assert events_of(written(tmp_path / name, lines)) == events


def test_a_broken_row_is_refused_with_its_number_and_the_rows_beside_it_go_through(tmp_path: Path) -> None:
    text = REES46_HEADER + (
        "2019-10-01 00:00:01 UTC,view,1,2,,,1.0,7,s\n"
        "2019-10-01 00:00:02 UTC,view,1,2,,,NaN,7,s\n"
        "2019-10-01 00:00:03 UTC,wiew,1,2,,,1.0,7,s\n"
        "2019-10-01 00:00:04 UTC,view,1,2,,,1.0,,s\n"
        '2019-10-01 00:00:05 UTC,view,1,2,"home, garden",,1.0,7,s\n'
        "2019-10-01 00:00:06 UTC,view,1\n"
        "2019-10-01 00:00:07,view,1,2,,,1.0,7,s\n"
        '2019-10-01 00:00:08 UTC,view,1,2,,"open,1.0,7,s\n'
        "2019-10-01 00:00:09 UTC,view,1,2,,,1.0,7,s,more\n"
        "\n"
        "2019-10-01 00:00:11 UTC,view,1,2,,,-1,7,s\n"
        "2019-10-01 00:00:12 UTC,view,1,2,,,1.0,7,s\n"
    )
    raw = text.encode() + b"2019-10-01 00:00:13 UTC,view,1,2,,\xff,1.0,7,s\n"
    outcomes = read(written(tmp_path / "r.csv", raw))
    assert {(o.row, o.code) for o in outcomes if isinstance(o, Rejected)} == {
        (2, "price.not_finite"),
        (3, "event_type.unknown"),
        (4, "user_id.missing"),
        (6, "row.columns"),
        (7, "event_time.naive"),
        (8, "row.open_quote"),
        (9, "row.columns"),
        (11, "price.negative"),
        (13, "row.not_utf8"),
    }
    events = [o for o in outcomes if isinstance(o, Event)]
    assert [e.event_time_ms % 60_000 // 1_000 for e in events] == [1, 5, 12]
    assert events[1].category == "home, garden"
    assert b"1.0,,s" in next(o.value for o in outcomes if isinstance(o, Rejected) and o.row == 4)


def test_broken_json_lines_are_refused_with_the_code_of_the_contract(tmp_path: Path) -> None:
    good = encode(Event("e", EventType.VIEW, 1_600_000_000_000, "u", "p"))
    lines = [b"{", good, b"[]", b"\xff", good.replace(b'"view"', b'"x"'), b'{"a":"' + b"x" * 40_000 + b'"}']
    outcomes = read(written(tmp_path / "e.jsonl", b"\r\n".join(lines)))
    assert [(o.row, o.code) for o in outcomes if isinstance(o, Rejected)] == [
        (1, "event.not_json"),
        (3, "event.not_object"),
        (4, "event.not_json"),
        (5, "event_type.unknown"),
        (6, "event.too_large"),
    ]
    assert len(outcomes) == 6


def test_a_parquet_row_that_breaks_a_rule_is_refused(tmp_path: Path) -> None:
    at = datetime(2022, 10, 1, tzinfo=UTC)
    pl.DataFrame(
        {
            "event_time": [at, None, at, at],
            "event_type": ["view"] * 4,
            "product_id": [1, 2, None, 4],
            "price": [1.0, 1.0, 1.0, float("nan")],
            "user_id": [1.0, 2.0, 3.0, 4.0],
            "category_id": ["c", "c", "c", "c" * 40_000],
        }
    ).write_parquet(tmp_path / "r.parquet")
    outcomes = read(tmp_path / "r.parquet")
    assert {(o.row, o.code) for o in outcomes if isinstance(o, Rejected)} == {
        (2, "event_time.missing"),
        (3, "product_id.missing"),
        (4, "price.not_finite"),
    }
    assert [o.user_id for o in outcomes if isinstance(o, Event)] == ["1"]


def test_ids_that_lost_digits_in_a_parquet_file_are_not_taken(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "event_time": [datetime(2022, 10, 1, tzinfo=UTC)] * 4,
            "event_type": ["view"] * 4,
            "product_id": ["1", "5.35871E+08", "3.0", "4"],
            "user_id": [535_871_217.0, 2.0, 2_053_013_555_631_882_655.0, 535_871_217.5],
        }
    ).write_parquet(tmp_path / "r.parquet")
    outcomes = read(tmp_path / "r.parquet")
    assert [(o.row, o.code) for o in outcomes if isinstance(o, Rejected)] == [
        (2, "product_id.rounded"),
        (3, "user_id.missing"),
        (4, "user_id.missing"),
    ]
    assert [o.user_id for o in outcomes if isinstance(o, Event)] == ["535871217"]


def parquet_of(path: Path, **columns: object) -> Path:
    """A parquet file of one view, with these columns beside or in place of the usual ones."""
    usual = {"event_time": [datetime(2022, 10, 1, tzinfo=UTC)], "event_type": ["view"], "product_id": ["p"]}
    pl.DataFrame({**usual, "user_id": ["u"], **columns}).write_parquet(path)
    return path


def test_decimals_in_a_parquet_file_are_prices_and_ids(tmp_path: Path) -> None:
    path = parquet_of(tmp_path / "r.parquet", price=[Decimal("19.90")], user_id=[Decimal("535871217")])
    (event,) = events_of(path)
    assert (event.price_minor, event.user_id) == (1_990, "535871217")


def test_nested_columns_of_a_parquet_file_that_no_format_knows_are_passed_over(tmp_path: Path) -> None:
    parameters = [{"key": "page", "values": [1, 2]}]
    path = parquet_of(tmp_path / "r.parquet", event_params=[parameters], device={"os": ["x"]})
    (event,) = events_of(path)
    assert (event.user_id, event.extra) == ("u", None)
    assert [each.event_id for each in events_of(path)] == [event.event_id]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_id", ["u", "v"]),
        ("product_id", {"id": "p"}),
        ("event_time", time(10)),
        ("event_time", timedelta(hours=1)),
        ("event_time", True),
        ("event_time", [1]),
    ],
)
def test_a_parquet_column_that_cannot_hold_what_it_should_is_named(
    tmp_path: Path, name: str, value: object
) -> None:
    path = parquet_of(tmp_path / "r.parquet", **{name: [value]})
    with pytest.raises(UnknownFormat, match=f"the column {name} is of type"):
        read(path)


def test_times_that_became_floats_are_read(tmp_path: Path) -> None:
    path = parquet_of(tmp_path / "r.parquet", event_time=[1_664_582_400_000.0])
    assert [event.event_time_ms for event in events_of(path)] == [1_664_582_400_000]


def test_equal_rows_are_different_events_with_the_same_ids_in_every_reading(tmp_path: Path) -> None:
    row = "2019-10-01 00:00:00 UTC,view,1,10,,aqua,33.2,5,s2\n"
    path = written(
        tmp_path / "r.csv", REES46_HEADER + row * 3 + REES46_ROWS + row.replace(":00 UTC", ":01 UTC")
    )
    ids = [event.event_id for event in events_of(path)]
    assert len(set(ids)) == 7
    assert [event.event_id for event in events_of(path)] == ids
    for skip in range(8):
        assert [e.event_id for e in read(path, skip=skip) if isinstance(e, Event)] == ids[skip:]


@pytest.mark.parametrize("chunk_rows", [1, 7, 100])
def test_any_chunk_size_and_any_resume_point_give_the_same_order(tmp_path: Path, chunk_rows: int) -> None:
    rng = random.Random(3)
    rows = [
        f"{datetime.fromtimestamp(1_569_888_000 + rng.randrange(600), UTC):%Y-%m-%d %H:%M:%S} UTC,"
        f"view,{rng.randrange(3)},2,,,1.0,{rng.randrange(2)},s\n"
        for _ in range(120)
    ]
    rows[40] = "later,view,1,2,,,1.0,7,s\n"
    path = written(tmp_path / "r.csv", REES46_HEADER + "".join(rows))
    whole = read(path)
    times = [outcome.event_time_ms for outcome in whole if isinstance(outcome, Event)]
    assert times == sorted(times)
    assert read(path, chunk_rows=chunk_rows) == whole
    for skip in (1, 59, 119, 120):
        assert read(path, skip=skip, chunk_rows=chunk_rows) == whole[skip:]


def test_files_of_no_known_format_say_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=r"x\.csv: the columns \(a, b\)"):
        read(written(tmp_path / "x.csv", "a,b\n1,2\n"))
    with pytest.raises(UnknownFormat, match="not those of the format rees46"):
        read(written(tmp_path / "y.csv", "a,b\n1,2\n"), format_name="rees46")
    with pytest.raises(UnknownFormat, match="must be one of"):
        read(written(tmp_path / "z.csv", REES46_HEADER), format_name="kaggle")
    with pytest.raises(UnknownFormat, match="damaged"):
        read(written(tmp_path / "x.parquet", "no parquet"))
    cut = gzip.compress(REES46_HEADER.encode() * 900)[:60]
    (tmp_path / "x.csv.gz").write_bytes(cut)
    with pytest.raises(UnknownFormat, match="damaged"):
        read(tmp_path / "x.csv.gz")
    (tmp_path / "y.csv.gz").write_bytes(gzip.compress(REES46_HEADER.encode() * 9) + b"and more")
    with pytest.raises(UnknownFormat, match=r"y\.csv\.gz is damaged"):
        read(tmp_path / "y.csv.gz")
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(gzip.compress(REES46_HEADER.encode())))
    with pytest.raises(UnknownFormat, match=r"z\.csv\.gz is compressed twice"):
        read(tmp_path / "z.csv.gz")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UnknownFormat, match=r"pipe\.csv is neither a regular file"):
        read(tmp_path / "pipe.csv")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.csv")


def test_the_fingerprint_changes_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "r.csv", REES46_HEADER + REES46_ROWS)
    before = fingerprint(path)
    assert fingerprint(path) == before
    written(path, REES46_HEADER + REES46_ROWS.replace("aqua", "akwa"))
    assert fingerprint(path) != before


@pytest.mark.parametrize(
    ("name", "mix"),
    [
        (
            "rees46_samples/cosmetics_month_heads.parquet",
            {"view": 1_748, "cart": 1_090, "remove_from_cart": 875, "purchase": 283},
        ),
        (
            "rees46_samples/multi_category_2019-10-01_head.parquet",
            {"view": 17_055, "cart": 165, "purchase": 214},
        ),
        ("retailrocket_8d/events_train.parquet", {"view": 39_272, "cart": 2_176, "purchase": 704}),
        (
            "taobao_stream_2h/events_train.parquet",
            {"view": 73_262, "cart": 4_498, "favorite": 2_532, "purchase": 1_818},
        ),
    ],
)
def test_public_samples_are_read_to_the_last_row(shop_data: Path, name: str, mix: dict[str, int]) -> None:
    events = events_of(shop_data / name)
    assert {kind: sum(e.event_type == kind for e in events) for kind in mix} == mix
    assert len({e.event_id for e in events}) == len(events) == sum(mix.values())
