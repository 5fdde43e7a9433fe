"""What a visitor was recommended: the records of the topic `exposures`, and what is kept of the newest."""

import re
from typing import Any, NamedTuple

import msgpack
import orjson

from contracts.blob_formats import unknown_format
from contracts.fields import EARLIEST_MS, MAX_AHEAD_MS, InvalidEvent, identifier, kind_of
from contracts.shapes import require

MAX_ITEMS = 100
"""Products of one exposure."""
MAX_EXPOSURE_BYTES = 64 * 1024
MAX_KEPT = 10
"""The newest exposures of a visitor are kept."""
CLICK_MS = 30 * 60_000
"""A view of a product follows from an exposure that is at most so old."""
FOLLOW_MS = 24 * 3_600_000
"""The same of what is put into the cart or bought."""
FORMAT = 1
"""First element of the blob."""

CLICKED, CARTED, BOUGHT = 1, 2, 4
"""Bits of what followed, for each product of an exposure."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_FIELDS = ("rec_id", "user_id", "at_ms", "scenario", "arm", "model", "product_ids")


class Exposure(NamedTuple):
    """An answer that was given, with its products in order; `at_ms` is its event time (epoch ms)."""

    rec_id: str
    user_id: str
    at_ms: int
    scenario: str
    arm: str
    model: str
    product_ids: tuple[str, ...]


class KeptExposure(NamedTuple):
    """One exposure of a visitor; `marks` has for each product the bits of what followed."""

    rec_id: str
    at_ms: int
    scenario: str
    arm: str
    product_ids: tuple[str, ...]
    marks: tuple[int, ...]


class ExposedGroup(NamedTuple):
    """A visitor as one of those who saw a scenario in an arm, for a day from `start_ms`.

    `revenue_minor` is of all that the visitor bought in that day, in the shop's currency.
    """

    scenario: str
    arm: str
    start_ms: int
    has_bought: bool = False
    revenue_minor: int = 0


class VisitorExposures(NamedTuple):
    """What is kept of a visitor, the newest exposure first; at most one group per scenario and arm."""

    exposures: tuple[KeptExposure, ...] = ()
    groups: tuple[ExposedGroup, ...] = ()


def encode_exposure(exposure: Exposure) -> bytes:
    """The exposure as JSON; `decode_exposure` gives the same one back."""
    return orjson.dumps(exposure._asdict())


def decode_exposure(raw: bytes | None, *, received_ms: int) -> Exposure:
    """The exposure in a record's value (UTF-8 JSON); raises `InvalidEvent`, whose code names field and rule.

    `received_ms` is the broker's time: an exposure much later than that is refused.
    """
    if raw is None:
        raise InvalidEvent("exposure.missing", "the record must have a value")
    if len(raw) > MAX_EXPOSURE_BYTES:
        raise InvalidEvent(
            "exposure.too_large", f"must have at most {MAX_EXPOSURE_BYTES} bytes, got {len(raw)}"
        )
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidEvent("exposure.not_json", f"must be UTF-8 JSON: {exc}") from exc
    if type(fields) is not dict:
        raise InvalidEvent("exposure.not_object", f"must be a JSON object, got {kind_of(fields)}")
    if fields.keys() - set(_FIELDS):
        raise InvalidEvent("exposure.unknown_field", f"must have no fields but {', '.join(_FIELDS)}")
    return Exposure(
        identifier("rec_id", fields.get("rec_id")),
        identifier("user_id", fields.get("user_id")),
        _time(fields.get("at_ms"), received_ms),
        _name("scenario", fields.get("scenario")),
        _name("arm", fields.get("arm")),
        _name("model", fields.get("model")),
        _product_ids(fields.get("product_ids")),
    )


def check_exposure_key(key: bytes | None, exposure: Exposure) -> None:
    """Raise `InvalidEvent` if the record's key is not the visitor's id."""
    if key != exposure.user_id.encode():
        raise InvalidEvent(
            "key.not_user_id", "the record's key must be the user_id, which decides the partition"
        )


def _time(value: Any, received_ms: int) -> int:
    if type(value) is not int:
        raise InvalidEvent("at_ms.not_time", f"at_ms must be epoch milliseconds, got {kind_of(value)}")
    if value < EARLIEST_MS:
        raise InvalidEvent("at_ms.too_early", "at_ms must be epoch milliseconds from 2000 on")
    if value > received_ms + MAX_AHEAD_MS:
        raise InvalidEvent("at_ms.in_future", "at_ms must not be later than the record")
    return value


def _name(field: str, value: Any) -> str:
    if type(value) is not str or not _NAME.fullmatch(value):
        raise InvalidEvent(f"{field}.not_name", f"{field} must match {_NAME.pattern}, got {kind_of(value)}")
    return value


def _product_ids(value: Any) -> tuple[str, ...]:
    if type(value) is not list or not 0 < len(value) <= MAX_ITEMS:
        raise InvalidEvent(
            "product_ids.not_list", f"product_ids must be an array of 1 to {MAX_ITEMS}, got {kind_of(value)}"
        )
    ids = tuple([identifier("product_ids", each) for each in value])
    if len(set(ids)) != len(ids):
        raise InvalidEvent("product_ids.repeated", "product_ids must be distinct")
    return ids


_pack = msgpack.Packer(use_bin_type=True).pack


def pack_exposures(kept: VisitorExposures) -> bytes:
    """The blob of a visitor's exposures."""
    blob: bytes = _pack((FORMAT, *kept))
    return blob


def unpack_exposures(blob: bytes) -> VisitorExposures:
    """The exposures in a blob; raises `LaterFormat`, or some other exception for what no version wrote."""
    found, *fields = msgpack.unpackb(blob, use_list=False)
    if found != FORMAT:
        raise unknown_format("exposures", found, FORMAT)
    exposures, groups = fields
    return VisitorExposures(
        tuple([KeptExposure(*each) for each in exposures]), tuple([ExposedGroup(*each) for each in groups])
    )


def check_exposures(kept: VisitorExposures) -> None:
    """Raises `ValueError` for exposures that no version wrote."""
    require(kept, VisitorExposures)
    if len(kept.exposures) > MAX_KEPT or any(
        len(each.product_ids) != len(each.marks) for each in kept.exposures
    ):
        raise ValueError("exposures have parts that do not fit together")
