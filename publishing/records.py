"""What is published of a visitor: the list's snapshot in Redis, and a record that says all by itself."""

from typing import Any, NamedTuple

import msgpack
import orjson

from contracts.recommendations import RECOMMENDATIONS, SNAPSHOT_TTL_S, SNAPSHOT_VERSION
from contracts.snapshots import encode_record, encode_snapshot
from contracts.subjects import Subject, SubjectKind
from models.recommendation.catalogue import CatalogueView
from models.recommendation.request import RecommendationRequest, Scenario
from readers.intervals import to_datetime
from readers.recommendations.answers import to_answer
from readers.recommendations.live import Ranked
from readers.recommendations.stored import StoredList, to_value
from stream.jobs.store import Pick, Publication, SnapshotRecord

ASKED = RecommendationRequest(now_ms=0, scenario=Scenario.FOR_YOU, limit=10)
"""What a list answers: what the API is asked where a page says nothing else."""

_pack = msgpack.Packer(use_bin_type=True).pack


class MadeList(NamedTuple):
    """A list with products, and the customer it is for; an empty id is nobody."""

    ranked: Ranked
    customer_id: str


class Draft(NamedTuple):
    """What to publish, and what that is called if it is written."""

    publication: Publication
    result: str


def draft(
    pick: Pick,
    made_ms: int,
    made: MadeList | None,
    stored: StoredList | None,
    catalogue: CatalogueView,
    *,
    topic: str,
    digest: str,
) -> Draft:
    """What to write of a visitor, for whom a list was made or none could be.

    A list that says what the `stored` one says is no record again. What was stored under another epoch may
    be older than what the topic has, with a Redis that came back: then the topic gets the list again.
    """

    def publication(blob: bytes, record: bytes | None) -> Publication:
        told = None
        if record is not None:
            record_id = f"{RECOMMENDATIONS}-{pick.subject_id}-{pick.epoch}-{made_ms}"
            told = SnapshotRecord(topic, pick.subject_id, record_id, record)
        return Publication(pick, made_ms, blob, SNAPSHOT_TTL_S, 0, digest, told)

    if made is None:
        return Draft(publication(b"", b""), "empty")
    blob = encode_snapshot(SNAPSHOT_VERSION, pick.epoch, made_ms, _pack(to_value(*made)))
    if stored is not None and stored.epoch == pick.epoch and stored.says_the_same(*made):
        return Draft(publication(blob, None), "unchanged")
    return Draft(publication(blob, _to_json(pick, made_ms, made, catalogue)), "published")


def _to_json(pick: Pick, made_ms: int, made: MadeList, catalogue: CatalogueView) -> bytes:
    value = orjson.dumps(to_record(pick.subject_id, made, catalogue), option=orjson.OPT_UTC_Z)
    subject = Subject(SubjectKind.VISITOR, pick.subject_id)
    return encode_record(RECOMMENDATIONS, subject, SNAPSHOT_VERSION, pick.epoch, made_ms, value)


def to_record(visitor_id: str, made: MadeList, catalogue: CatalogueView) -> dict[str, Any]:
    """The value of a record, in the fields of an answer of the API."""
    found, time, arm, version = made.ranked
    about = {
        "as_of": to_datetime(time.as_of_ms),
        "mode": time.mode,
        "visitor_id": visitor_id,
        "customer_id": made.customer_id or None,
        "scenario": ASKED.scenario,
        "arm": arm,
        "model": version,
    }
    answer = to_answer(found, catalogue, time.as_of_ms, about)
    del answer["tried"], answer["empty_because"]
    return answer
