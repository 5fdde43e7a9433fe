"""Records of exposures: what is read back, and what breaks a rule."""

from typing import Any

import orjson
import pytest

from contracts.blob_formats import LaterFormat
from contracts.exposures import (
    ExposedGroup,
    Exposure,
    KeptExposure,
    VisitorExposures,
    check_exposure_key,
    check_exposures,
    decode_exposure,
    encode_exposure,
    pack_exposures,
    unpack_exposures,
)
from contracts.fields import InvalidEvent

NOW_MS = 1_760_000_000_000
FULL = Exposure("r1", "u1", NOW_MS, "for_you", "main", "recent-sessions-1", ("p1", "p2"))
KEPT = VisitorExposures(
    (KeptExposure("r1", NOW_MS, "for_you", "main", ("p1", "p2"), (3, 0)),),
    (ExposedGroup("for_you", "main", NOW_MS, True, 500),),
)


def test_an_exposure_comes_back_as_it_was() -> None:
    assert decode_exposure(encode_exposure(FULL), received_ms=NOW_MS) == FULL
    check_exposure_key(b"u1", FULL)
    check_exposures(KEPT)
    assert unpack_exposures(pack_exposures(KEPT)) == KEPT


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rec_id": None}, "rec_id.missing"),
        ({"user_id": " "}, "user_id.blank"),
        ({"at_ms": "now"}, "at_ms.not_time"),
        ({"at_ms": True}, "at_ms.not_time"),
        ({"at_ms": 1_760_000_000}, "at_ms.too_early"),
        ({"at_ms": NOW_MS + 400_000}, "at_ms.in_future"),
        ({"scenario": "For you"}, "scenario.not_name"),
        ({"arm": "a:b"}, "arm.not_name"),
        ({"model": None}, "model.not_name"),
        ({"product_ids": []}, "product_ids.not_list"),
        ({"product_ids": ["p1", "p1"]}, "product_ids.repeated"),
        ({"product_ids": ["p1", {}]}, "product_ids.not_string"),
        ({"more": 1}, "exposure.unknown_field"),
    ],
)
def test_what_breaks_a_rule_is_named(change: dict[str, Any], code: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode_exposure(orjson.dumps(FULL._asdict() | change), received_ms=NOW_MS)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "exposure.missing"),
        (b"[", "exposure.not_json"),
        (b"[]", "exposure.not_object"),
        (b" " * 70_000, "exposure.too_large"),
    ],
)
def test_what_is_no_object_is_refused(raw: bytes | None, code: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        decode_exposure(raw, received_ms=NOW_MS)
    assert refused.value.code == code


def test_a_record_under_another_key_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"key\.not_user_id"):
        check_exposure_key(b"u2", FULL)


def test_blobs_of_later_versions_and_of_nobody_are_told_apart() -> None:
    with pytest.raises(LaterFormat):
        unpack_exposures(b"\x93\x02\x90\x90")
    with pytest.raises(ValueError, match="unknown format"):
        unpack_exposures(b"\x93\x00\x90\x90")
    with pytest.raises(ValueError, match="fit together"):
        check_exposures(KEPT._replace(exposures=(KEPT.exposures[0]._replace(marks=()),)))
