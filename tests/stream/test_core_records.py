"""The compiled reading of records gives what the contract's own gives, on whatever bytes come."""

import json
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.partitioner import murmur2

from contracts.dead_letters import DeadLetter
from contracts.events import MAX_EVENT_BYTES
from cores import NAMES, core_named, exact
from shoppers import NOW_MS
from stream.batch.core import PYTHON, Core
from stream.batch.entries import Forward


@pytest.fixture(scope="module")
def compiled() -> Core:
    return core_named("compiled")


class Raw(NamedTuple):
    """The part of Kafka's record that is read."""

    offset: int
    timestamp: int
    key: Any
    value: Any
    headers: tuple[tuple[str, bytes], ...] = (("client_id", b"made-up"),)


PLAIN: dict[str, Any] = {
    "schema": 2, "event_id": "e1", "event_type": "view", "event_time": NOW_MS, "user_id": "u1",
    "product_id": "p1", "session_id": "s1", "price": "19.99", "currency": "EUR", "quantity": 1,
}  # fmt: skip
TEXTS = (
    "", " ", "  ", "a b", "x" * 128, "x" * 129, "y" * 256, "y" * 257, "ä" * 64, "ä" * 65, "日本", "\u2028",
    "\x7f", "\x1f", "\u200b", "\xad", "a\\b", 'a"b', "\ud800", "1", "007", "🛒", "\u00a0",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 17, -1, 999_999, 1_000_000, 1_000_001, 10**9, 10**9 + 1, 10**11, 10**12, 10**17, 10**18, 10**19,
    2**63, 0.0, -0.0, 0.1, 1.0, 2.0, 2.5, 0.125, 0.375, 1.005, 19.99, 123456.785, 1e300, 1e308, 1e-9,
)  # fmt: skip
DECIMALS = (
    "0", "1", "1.", ".5", "0.5", "1.5", "1.55", "1.555", "1.545", "007.10", "1e3", "-1", "-0.00", "nan",
    "inf", "1,5", "1000000000", "1000000000.01", "999999999999", "1234567890123", "1.1234567890123", "+1",
    " 1", "0.000000000001", "1.5.5", "\u0661",
)  # fmt: skip
ODD: tuple[Any, ...] = (None, True, False, [], {}, [1], {"a": 1})
TIMES = (
    NOW_MS, NOW_MS + 300_000, NOW_MS + 300_001, 946_684_800_000, 946_684_799_999, 0, -5, NOW_MS / 1_000,
    "2025-10-09T08:53:20Z", "2025-10-09T08:53:20.123456+02:00", "2025-10-09T08:53:20", "2025-10-09", "now",
)  # fmt: skip
POOLS: dict[str, tuple[Any, ...]] = {
    "schema": (1, 2, 3, "2", 2.0, None, True),
    "event_id": (*TEXTS, *NUMBERS, *ODD),
    "event_type": (
        "view",
        "favorite",
        "cart",
        "remove_from_cart",
        "purchase",
        "refund",
        "fav",
        "",
        1,
        None,
        True,
    ),
    "total": (*NUMBERS, *DECIMALS, None),
    "line": ("2", "2#2", 2, None),
    "event_time": (*TIMES, *ODD),
    "user_id": (*TEXTS, *NUMBERS, *ODD),
    "anonymous_id": ("u1", *TEXTS, *NUMBERS, *ODD),
    "product_id": (*TEXTS, *NUMBERS, *ODD),
    "session_id": (*TEXTS, *NUMBERS, *ODD),
    "order_id": (*TEXTS, *NUMBERS, *ODD),
    "category": (*TEXTS, *NUMBERS, *ODD),
    "brand": (*TEXTS, *NUMBERS, *ODD),
    "currency": ("EUR", "USD", "JPY", "KWD", "eur", "XXX", "", None, 1, "ÄÄÄ"),
    "price": (*NUMBERS, *DECIMALS, *TEXTS, *ODD),
    "quantity": (*NUMBERS, *DECIMALS, *TEXTS, *ODD),
    "user_session": ("s9", None),
    "colour": (*TEXTS, *NUMBERS, *ODD),
    "größe": ("x", 1),
}
ABSENT = object()
PATCHES = (
    b"", b"0", b"-", b".", b"e5", b'"', b"\\", b",", b"}", b"{", b" ", b"\x00", b"\xff", b"\xed\xa0\x80",
)  # fmt: skip
ENDS = (
    b',"user_id":"u2"}', b"}x", b",}", b',"n":01}', b',"n":1.}', b',"n":1.5e3}',
    b',"n":1234567890123456789012}', b',"n":tru}', b',"n":NaN}', b',"n" "m"}', b',"n":true,"n":null}',
    b',"n":{"m":1}}', b"",
)  # fmt: skip
"""Behind a plain event less its closing brace."""


def both(compiled: Core, *records: Raw, currency: str = "EUR") -> list[Any]:
    """What both make of the records, which must be the same."""
    found = [
        core.read_records(
            records, topic="view", partition=0, partitions=1, default_currency=currency, now_ms=7
        )
        for core in (compiled, PYTHON)
    ]
    assert exact(found[0]) == exact(found[1])
    return found[0]


def record_of(fields: dict[str, Any], *, key: Any = ABSENT, style: int = 0) -> Raw:
    """A record of these fields; the key is the visitor's unless given."""
    text = json.dumps(
        fields, ensure_ascii=style % 2 == 0, separators=(", ", " : ") if style > 1 else (",", ":")
    )
    value = (f" {text}\n" if style > 1 else text).encode("utf-8", "surrogatepass")
    if key is ABSENT:
        visitor = fields.get("user_id") if fields.get("anonymous_id") is None else fields["anonymous_id"]
        key = str(visitor).encode("utf-8", "surrogatepass")
    return Raw(5, NOW_MS, key, value)


@pytest.mark.parametrize("name", NAMES)
@given(user=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=["L", "N"]), min_size=1))
def test_a_record_is_read_only_where_its_key_belongs(name: str, user: str) -> None:
    partitions = 7
    record = record_of({**PLAIN, "user_id": user})
    home = (murmur2(user.encode()) & 0x7FFFFFFF) % partitions
    for partition in range(partitions):
        [entry] = core_named(name).read_records(
            [record],
            topic="view",
            partition=partition,
            partitions=partitions,
            default_currency="EUR",
            now_ms=7,
        )
        if partition == home:
            assert entry.event is not None
        else:
            assert isinstance(entry.letter, DeadLetter)
            assert (entry.letter.code, entry.letter.partition) == ("partition.not_of_key", partition)
            assert f"into {home} of {partitions}" in entry.letter.detail


WHO: tuple[Any, ...] = ("u1", "d1", "d2", 7, None, ABSENT, "", " ", "ü", [], "x" * 129)


@given(st.sampled_from(WHO), st.sampled_from(WHO), st.sampled_from(("u1", "d1", "7", "ü", "None", "")))
def test_whoever_the_ids_name_the_same_is_read(compiled: Core, device: Any, user: Any, key: str) -> None:
    fields = {"user_id": user, "anonymous_id": device}
    fields = {name: value for name, value in fields.items() if value is not ABSENT}
    plain = {name: value for name, value in PLAIN.items() if name != "user_id"}
    both(compiled, record_of({**plain, **fields}, key=key.encode()))


@pytest.mark.parametrize("name", NAMES)
@given(
    device=st.text(st.characters(min_codepoint=48, max_codepoint=122, categories=["L", "N"]), min_size=1),
    user=st.sampled_from(("u1", "u2", "u3")),
)
def test_an_event_where_its_customer_belongs_is_forwarded_to_its_visitor(
    name: str, device: str, user: str
) -> None:
    partitions = 7
    record = record_of({**PLAIN, "user_id": user, "anonymous_id": device}, key=user.encode())
    home, of_user = ((murmur2(id_.encode()) & 0x7FFFFFFF) % partitions for id_ in (device, user))
    [entry] = core_named(name).read_records(
        [record], topic="view", partition=of_user, partitions=partitions, default_currency="EUR", now_ms=7
    )
    if home == of_user:
        assert entry.event is not None
        assert (entry.event.user_id, entry.event.customer_id) == (device, user)
    else:
        assert isinstance(entry.letter, Forward)
        assert entry.letter[:5] == ("view", device.encode(), f"view-{of_user}-5", record.value, user)
        assert entry.letter.event.user_id == device
        again = record._replace(key=entry.letter.key)
        [entry] = core_named(name).read_records(
            [again], topic="view", partition=home, partitions=partitions, default_currency="EUR", now_ms=7
        )
        assert entry.event is not None
        assert (entry.event.user_id, entry.event.customer_id) == (device, user)


def test_a_plain_event_is_read(compiled: Core) -> None:
    [entry] = both(compiled, record_of(PLAIN))
    assert entry.event.price_minor == 1999


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("style", range(4))
def test_every_value_of_a_field_gives_the_same(compiled: Core, name: str, style: int) -> None:
    records = [record_of(PLAIN | {name: value}, style=style) for value in POOLS[name]]
    records.append(record_of({field: PLAIN[field] for field in PLAIN if field != name}, style=style))
    assert len(both(compiled, *records)) == len(records)


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={name: st.sampled_from(pool) for name, pool in POOLS.items()}),
    st.lists(st.sampled_from(sorted(PLAIN)), max_size=3),
    st.integers(0, 3),
    st.sampled_from(("EUR", "JPY", "KWD")),
)
def test_any_fields_give_the_same(fields: dict[str, Any], kept: list[str], style: int, currency: str) -> None:
    changed = {name: value for name, value in fields.items() if name not in kept}
    both(core_named("compiled"), record_of(PLAIN | changed, style=style), currency=currency)


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(st.data())
def test_spoiled_bytes_give_the_same(data: st.DataObject) -> None:
    value = record_of(PLAIN | {"category": "Schuhe für"}, style=data.draw(st.integers(0, 3))).value
    at = data.draw(st.integers(0, len(value)))
    cut = data.draw(st.integers(0, 4))
    patch = data.draw(st.sampled_from(PATCHES))
    both(core_named("compiled"), Raw(5, NOW_MS, b"u1", value[:at] + patch + value[at + cut :]))


@pytest.mark.parametrize("end", ENDS)
def test_objects_that_end_oddly_give_the_same(compiled: Core, end: bytes) -> None:
    both(compiled, Raw(5, NOW_MS, b"u1", json.dumps(PLAIN).encode()[:-1] + end))


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"{}", b"[]", b"null", b"{", b'{"user_id"', b"\xef\xbb\xbf{}",
        b"x" * (MAX_EVENT_BYTES + 1),
        json.dumps(PLAIN | {"n": "n" * MAX_EVENT_BYTES}).encode(), bytearray(b"{}"), memoryview(b"{}"),
    ],
)  # fmt: skip
def test_bytes_that_are_hardly_an_event_give_the_same(compiled: Core, value: Any) -> None:
    both(compiled, Raw(5, NOW_MS, b"u1", value))


@pytest.mark.parametrize("depth", [300, 1_010, 20_000])
@pytest.mark.parametrize("name", [*POOLS, "x"])
@pytest.mark.parametrize("event_type", ["view", "purchase", "refund", "identify"])
def test_values_that_are_nested_deeply_are_refused(
    compiled: Core, event_type: str, name: str, depth: int
) -> None:
    fields = {key: value for key, value in PLAIN.items() if key not in (name, "event_id")}
    end = b',"%s":' % name.encode() + b"[" * depth + b"]" * depth + b"}"
    value = json.dumps(fields | {"event_type": event_type, "anonymous_id": "u1"}).encode()[:-1] + end
    [entry] = both(compiled, Raw(5, NOW_MS, b"u1", value))
    assert entry.letter is not None
    assert entry.letter.value == value


@pytest.mark.parametrize("key", [None, b"", b"u2", b"u11", "u1", bytearray(b"u1")])
def test_a_key_that_is_not_the_visitor_gives_the_same(compiled: Core, key: Any) -> None:
    [entry] = both(compiled, record_of(PLAIN, key=key))
    assert entry.letter is None if key == b"u1" else entry.event is None


class Broken(NamedTuple):
    """A record whose value raises what nobody thought of."""

    offset: int
    timestamp: int
    key: Any
    headers: tuple[()] = ()

    @property
    def value(self) -> bytes:
        return Undecodable()


class Undecodable(bytes):
    def __len__(self) -> int:
        raise MemoryError


@pytest.mark.parametrize("name", NAMES)
def test_a_record_that_cannot_be_read_for_whatever_reason_is_a_dead_letter(name: str) -> None:
    [entry] = core_named(name).read_records(
        [Broken(5, NOW_MS, b"u1")], topic="view", partition=0, partitions=1, default_currency="EUR", now_ms=5
    )
    assert isinstance(entry.letter, DeadLetter)
    assert (entry.offset, entry.letter.code) == (5, "event.unreadable")
    assert "MemoryError" in entry.letter.detail


def test_a_record_without_a_time_came_now(compiled: Core) -> None:
    for core in (compiled, PYTHON):
        [entry] = core.read_records(
            [record_of(PLAIN)._replace(timestamp=-1)],
            topic="view", partition=0, partitions=1, default_currency="EUR", now_ms=NOW_MS,
        )  # fmt: skip
        assert entry.event is not None
        assert entry.broker_ms == NOW_MS


def test_good_records_beside_bad_ones_keep_their_order(compiled: Core) -> None:
    good, bad = record_of(PLAIN), Raw(6, NOW_MS, b"u1", b"?")
    entries = both(compiled, good, bad, good)
    assert [entry.offset for entry in entries] == [5, 6, 5]
