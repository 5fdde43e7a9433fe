"""What answers questions in one process."""

import asyncio
import os
import re
from collections.abc import Sequence
from http import HTTPStatus

from api.http.errors import Problem
from api.http.parts import Part
from api.resources.recommendations.exposures import ExposurePublisher
from api.resources.recommendations.questions import Question
from contracts.clock import wall_clock_ms
from contracts.exposures import Exposure
from models.recommendation.catalogue import CatalogueView
from models.recommendation.request import Scenario
from readers.intervals import to_datetime
from readers.reader import Reader
from readers.recommendations.answers import Fields, to_answer
from readers.recommendations.live import LiveRecommendations, Ranked
from readers.recommendations.stored import complete, read_facts_of, read_stored
from readers.recommendations.visitor_facts import VisitorFacts, read_facts, to_request
from readers.visitors import passing_over_spoiled

OLD_S = 10.0
"""Sessions that were taken in longer ago than this are told of in `/readyz`."""
WAIT_S = 2.0
"""For the first sessions, after the start."""
_DEVICE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
"""Ids that devices make of chance. What anybody could guess is no proof of being the visitor."""


class Recommender:
    """Answers with what `live` ranks, and tells of what was shown."""

    def __init__(self, reader: Reader, live: LiveRecommendations, exposures: ExposurePublisher) -> None:
        self._reader = reader
        self.live = live
        self._exposures = exposures

    def start(self) -> None:
        """Begins to follow what changes."""
        self.live.start()

    async def close(self) -> None:
        """Ends it."""
        await self.live.close()

    async def answer(self, questions: Sequence[Question], *, only_devices: bool) -> list[Fields]:
        """The answers in order; `only_devices` is for callers who may not ask of customers.

        Before the first sessions were read, what was stored for a visitor stands in. Raises `Problem` 403 for
        an id that is no device's then, 503 where nothing stands in; `LaterFormat`, `SpoiledVisitor` and
        `redis.RedisError`.
        """
        if only_devices:
            for question in questions:
                _check_device(question.user_id)
        reader = self._reader
        ids = [question.user_id for question in questions]
        reads = [read_facts(reader, id_, only_device=only_devices) for id_ in ids]
        # One needs no task of its own.
        facts = [await reads[0]] if len(reads) == 1 else await asyncio.gather(*reads)
        return [await self._answer(*each) for each in zip(questions, facts, strict=True)]

    async def _answer(self, question: Question, facts: VisitorFacts) -> Fields:
        if not self.live.has_read.is_set() and (answer := await self._stored(question, facts)) is not None:
            return answer
        await self._wait()
        ranked = await self.live.rank(question.request, facts)
        return self._say(question, facts, ranked, self.live.feed.catalogue, self.live.age_s)

    async def _stored(self, question: Question, facts: VisitorFacts) -> Fields | None:
        """The answer from what was published for the visitor, if it fits the question."""
        request, rules = question.request, question.request.rules
        if facts.visitor_id is None or request.scenario is not Scenario.FOR_YOU or rules.pins:
            return None
        stored = await read_stored(self._reader, facts.visitor_id)
        if stored is None:
            return None
        time = await self._reader.stream_time()
        if facts.visitor is None:
            request = to_request(request, facts, time.as_of_ms)
        else:
            with passing_over_spoiled(facts.visitor):
                request = to_request(request, facts, time.as_of_ms)
        catalogue = await read_facts_of(self._reader, stored.product_ids)
        found = complete(stored.ranked, catalogue, request)
        if found is None:
            return None
        age_s = max(0, wall_clock_ms() - stored.made_ms) / 1_000
        return self._say(question, facts, stored.ranked._replace(found=found), catalogue, age_s)

    def _say(
        self,
        question: Question,
        facts: VisitorFacts,
        ranked: Ranked,
        catalogue: CatalogueView,
        age_s: float,
    ) -> Fields:
        """The answer, of which the visitor is given `rec_id`; `age_s` is that of the sessions behind it."""
        found, time, arm, version = ranked
        now_ms, scenario = time.as_of_ms, question.request.scenario
        rec_id = None
        if facts.visitor_id is not None and found.items and not question.is_preview:
            rec_id = os.urandom(12).hex()
            ids = tuple([item.product_id for item in found.items])
            self._exposures.put(Exposure(rec_id, facts.visitor_id, now_ms, scenario, arm, version, ids))
        about = {
            "as_of": to_datetime(now_ms),
            "mode": time.mode,
            "rec_id": rec_id,
            "user_id": question.user_id,
            "visitor_id": facts.visitor_id,
            "is_known": facts.is_known,
            "scenario": scenario,
            "arm": arm,
            "model": version,
            "sessions_age_s": round(age_s, 3),
        }
        return to_answer(found, catalogue, now_ms, about)

    def check(self) -> Part:
        """How up to date it is; at worst degraded, for the rest of the API does without."""
        index, age_s = self.live.feed.index, self.live.age_s
        if not self.live.has_read.is_set():
            return Part(status="degraded", detail="the first sessions are being read")
        detail = f"{index.n_sessions:,} sessions with {index.n_items:,} products, as of {age_s:.1f} s ago"
        trouble = self.live.ranking.trouble
        if trouble is not None:
            detail += f"; without the model: {trouble}"
        is_well = age_s <= OLD_S and trouble is None
        return Part(status="ok" if is_well else "degraded", detail=detail)

    async def _wait(self) -> None:
        if self.live.has_read.is_set():
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await self.live.has_read.wait()
        except TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "recommendations.loading",
                "the first sessions are being read; try again",
                headers={"Retry-After": "1"},
            ) from None


def _check_device(user_id: str | None) -> None:
    if user_id is not None and not _DEVICE.fullmatch(user_id):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "user_id.not_device",
            "a key for pages or apps may only ask of ids that devices make of chance: 32 hexadecimal digits "
            "or a UUID",
        )
