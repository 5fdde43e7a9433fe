"""What answers questions in one process: sessions and catalogue in memory, kept up to date."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from redis.exceptions import RedisError

from api.http.errors import Problem
from api.http.parts import Part
from api.resources.recommendations.answers import Fields, to_answer
from api.resources.recommendations.exposures import ExposurePublisher
from api.resources.recommendations.questions import Question
from api.resources.recommendations.ranking import Ranking
from api.resources.recommendations.visitor_facts import VisitorFacts, read_facts, to_request
from contracts.exposures import Exposure
from contracts.recommendation_arms import HELD_OUT, MAIN
from models.recommendation.arms import Arm, Arms
from models.recommendation.request import RecommendationRequest, Scenario
from readers.intervals import to_datetime
from readers.reader import Reader
from readers.recommendation_feed import RecommendationFeed
from readers.stream_time import not_before
from readers.visitors import passing_over_spoiled

_log = logging.getLogger(__name__)

REFRESH_S = 0.25
"""Between two looks at what has changed."""
OLD_S = 10.0
"""Sessions that were taken in longer ago than this are told of in `/readyz`."""
WAIT_S = 2.0
"""For the first sessions, after the start."""
_DEVICE = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
"""Ids that devices make of chance. What anybody could guess is no proof of being the visitor."""


class Recommender:
    """Answers; follows what changes while the process runs."""

    def __init__(
        self, reader: Reader, feed: RecommendationFeed, ranking: Ranking, exposures: ExposurePublisher
    ) -> None:
        settings = reader.settings
        self._reader = reader
        self.feed, self.ranking = feed, ranking
        self._exposures = exposures
        self._arms = Arms(
            hold_out=settings.recommendation_hold_out,
            others=settings.recommendation_arms,
            salt=settings.namespace,
        )
        self._has_read = asyncio.Event()
        self._read_s = float("-inf")
        self._following: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to follow what changes."""
        self.ranking.start()
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Ends it."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await self.ranking.close()

    @property
    def age_s(self) -> float:
        """How long ago the newest sessions and products were taken in; infinite before the first time."""
        return time.monotonic() - self._read_s

    async def answer(self, questions: Sequence[Question], *, only_devices: bool) -> list[Fields]:
        """The answers in order; `only_devices` is for callers who may not ask of customers.

        Raises `Problem` 403 for an id that is no device's then, 503 before the first sessions were read;
        `LaterFormat`, `SpoiledVisitor` and `redis.RedisError`.
        """
        if only_devices:
            for question in questions:
                _check_device(question.user_id)
        await self._wait()
        reader = self._reader
        ids = [question.user_id for question in questions]
        reads = [read_facts(reader, id_, only_device=only_devices) for id_ in ids]
        # One needs no task of its own.
        facts = [await reads[0]] if len(reads) == 1 else await asyncio.gather(*reads)
        return [await self._answer(*each) for each in zip(questions, facts, strict=True)]

    async def _answer(self, question: Question, facts: VisitorFacts) -> Fields:
        time = await self._reader.stream_time()
        request, visitor, arm = question.request, facts.visitor, Arm(MAIN)
        if facts.visitor_id is not None:
            arm = self._arms.find(facts.visitor_id)
        if visitor is None:
            request = to_request(request, facts, time.as_of_ms)
        else:
            with passing_over_spoiled(visitor):
                time = not_before(time, visitor.totals.last_ms)
                request = to_request(request, facts, time.as_of_ms)
        now_ms, scenario = time.as_of_ms, request.scenario
        request = _for_arm(request, arm)
        found, version = self.ranking.recommend(self.feed.index, self.feed.catalogue, request)
        rec_id = None
        if facts.visitor_id is not None and found.items and not question.is_preview:
            rec_id = os.urandom(12).hex()
            ids = tuple([item.product_id for item in found.items])
            visitor_id = facts.visitor_id
            self._exposures.put(Exposure(rec_id, visitor_id, now_ms, scenario, arm.name, version, ids))
        about = {
            "as_of": to_datetime(now_ms),
            "mode": time.mode,
            "rec_id": rec_id,
            "user_id": question.user_id,
            "visitor_id": facts.visitor_id,
            "is_known": visitor is not None or facts.customer is not None,
            "scenario": scenario,
            "arm": arm.name,
            "model": version,
            "sessions_age_s": round(self.age_s, 3),
        }
        return to_answer(found, self.feed.catalogue, now_ms, about)

    def check(self) -> Part:
        """How up to date it is; at worst degraded, for the rest of the API does without."""
        index, age_s = self.feed.index, self.age_s
        if not self._has_read.is_set():
            return Part(status="degraded", detail="the first sessions are being read")
        detail = f"{index.n_sessions:,} sessions with {index.n_items:,} products, as of {age_s:.1f} s ago"
        trouble = self.ranking.trouble
        if trouble is not None:
            detail += f"; without the model of the settings: {trouble}"
        is_well = age_s <= OLD_S and trouble is None
        return Part(status="ok" if is_well else "degraded", detail=detail)

    async def _wait(self) -> None:
        if self._has_read.is_set():
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await self._has_read.wait()
        except TimeoutError:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "recommendations.loading",
                "the first sessions are being read; try again",
                headers={"Retry-After": "1"},
            ) from None

    async def _follow(self) -> None:
        has_failed = False
        while True:
            try:
                await self.feed.refresh(self._reader)
            except (RedisError, OSError) as exc:
                if not has_failed:
                    _log.warning("what changed for recommendations cannot be read; trying again: %s", exc)
                has_failed = True
            else:
                self._read_s, has_failed = time.monotonic(), False
                self._has_read.set()
            await asyncio.sleep(REFRESH_S)


def _for_arm(request: RecommendationRequest, arm: Arm) -> RecommendationRequest:
    if arm.name == HELD_OUT:
        return replace(request, scenario=Scenario.TRENDING)
    return request if arm.weights is None else replace(request, weights=arm.weights)


def _check_device(user_id: str | None) -> None:
    if user_id is not None and not _DEVICE.fullmatch(user_id):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "user_id.not_device",
            "a key for pages or apps may only ask of ids that devices make of chance: 32 hexadecimal digits "
            "or a UUID",
        )
