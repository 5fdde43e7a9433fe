"""Dead letters keep the original bytes, whatever they are."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dead_letters import MAX_ORIGINAL_BYTES, DeadLetter, decode_dead_letter, encode_dead_letter

LETTER = DeadLetter("event.not_json", "must be JSON", "view", 3, 17, b"u-1", b"\xff{", 1_760_000_000_000)

_letters = st.builds(
    DeadLetter,
    code=st.text(),
    detail=st.text(),
    topic=st.text(),
    partition=st.integers(0, 511),
    offset=st.integers(0, 2**63 - 1),
    key=st.none() | st.binary(),
    value=st.none() | st.binary(),
    rejected_ms=st.integers(0, 2**50),
    client=st.none() | st.text(),
)


@given(_letters)
def test_every_letter_survives_the_wire(letter: DeadLetter) -> None:
    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_letter_always_fits_into_one_kafka_record() -> None:
    huge = LETTER._replace(value=b"x" * 5_000_000, key=b"k" * 900_000)
    assert len(encode_dead_letter(huge)) < 1_000_000
    assert decode_dead_letter(encode_dead_letter(huge)).value == b"x" * MAX_ORIGINAL_BYTES


def test_copies_of_a_letter_have_one_id() -> None:
    assert LETTER.letter_id == "view-3-17" == LETTER._replace(rejected_ms=0).letter_id


def test_a_letter_without_a_client_is_as_it_was_in_earlier_versions() -> None:
    raw = encode_dead_letter(LETTER)
    assert "client" not in orjson.loads(raw)
    assert decode_dead_letter(raw) == LETTER


@pytest.mark.parametrize(
    ("topic", "client", "sender"),
    [
        ("view", None, None),
        ("view", "orders-service", "kafka orders-service"),
        ("http:k7f3a9", "curl/8.5.0", "http:k7f3a9 curl/8.5.0"),
        ("ga4", None, "ga4"),
        ("segment:analytics.js/2.11.1", None, "segment:analytics.js/2.11.1"),
        ("events.csv", None, None),
    ],
)
def test_a_letter_names_its_sender(topic: str, client: str | None, sender: str | None) -> None:
    assert LETTER._replace(topic=topic, client=client).sender == sender


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}", b'{"code":1}', b"\xff"])
def test_bytes_that_are_no_letter_are_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message differs by what is wrong
        decode_dead_letter(raw)


@pytest.mark.parametrize("name", ["code", "offset", "value_base64", "client"])
def test_a_letter_with_a_field_of_another_kind_is_refused(name: str) -> None:
    fields = orjson.loads(encode_dead_letter(LETTER)) | {name: True}
    with pytest.raises(ValueError, match=name):
        decode_dead_letter(orjson.dumps(fields))
