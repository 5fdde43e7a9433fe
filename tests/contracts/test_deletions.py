"""The record of a deletion: what it says, what it never says, and what is no deletion."""

import orjson
import pytest

from contracts.deletions import (
    SETTLE_MS,
    Deletion,
    InvalidDeletion,
    cut_of,
    decode_deletion,
    digest_user,
    encode_deletion,
    secret_id_of,
)

DELETION = Deletion("d1", digest_user("visitor-17", "s"), 1_760_000_000_000, secret_id_of("s"))


def test_a_deletion_is_read_back_and_does_not_name_the_visitor() -> None:
    raw = encode_deletion(DELETION)
    assert decode_deletion(raw) == DELETION
    assert b"visitor-17" not in raw


def test_the_digest_depends_on_visitor_and_secret() -> None:
    assert digest_user("u1", "a") == digest_user("u1", "a")
    assert len({digest_user(user, secret) for user in ("u1", "u2", "é") for secret in ("", "a", "b")}) == 9
    assert secret_id_of("a") != secret_id_of("b")
    assert secret_id_of("a") not in digest_user("u1", "a")


def test_events_under_way_are_kept_out_too_by_whichever_clock_is_ahead() -> None:
    assert cut_of(DELETION, 0) == DELETION.at_ms + SETTLE_MS
    assert cut_of(DELETION, DELETION.at_ms + 50) == DELETION.at_ms + 50 + SETTLE_MS


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schema": 2}, "schema.unknown"),
        ({"schema": None}, "schema.unknown"),
        ({"deletion_id": ""}, "deletion_id.too_long"),
        ({"deletion_id": "d" * 65}, "deletion_id.too_long"),
        ({"digest": None}, "digest.not_string"),
        ({"digest": "ab"}, "digest.not_hex"),
        ({"digest": "G" * 64}, "digest.not_hex"),
        ({"at_ms": "1"}, "at_ms.not_integer"),
        ({"at_ms": True}, "at_ms.not_integer"),
        ({"at_ms": -1}, "at_ms.not_integer"),
        ({"at_ms": 2**53}, "at_ms.not_integer"),
        ({"secret_id": 8}, "secret_id.not_string"),
    ],
)
def test_what_breaks_a_rule_is_no_deletion(change: dict[str, object], code: str) -> None:
    fields = orjson.loads(encode_deletion(DELETION)) | change
    with pytest.raises(InvalidDeletion) as caught:
        decode_deletion(orjson.dumps(fields))
    assert caught.value.code == code


@pytest.mark.parametrize(("raw", "code"), [(None, "not_object"), (b"[]", "not_object"), (b"{", "not_json")])
def test_what_is_no_object_is_no_deletion(raw: bytes | None, code: str) -> None:
    with pytest.raises(InvalidDeletion) as caught:
        decode_deletion(raw)
    assert caught.value.code == f"deletion.{code}"
