"""What ranks for visitors in one process: sessions and catalogue in memory, kept up to date."""

import asyncio
import logging
import time
from dataclasses import replace
from typing import NamedTuple

from redis.exceptions import RedisError

from contracts.recommendation_arms import HELD_OUT, MAIN
from models.recommendation.answer import Recommendation
from models.recommendation.arms import Arm, Arms
from models.recommendation.request import RecommendationRequest, Scenario
from readers.reader import Reader
from readers.recommendations.feed import RecommendationFeed
from readers.recommendations.ranking import Ranking
from readers.recommendations.visitor_facts import VisitorFacts, to_request
from readers.stream_time import StreamTime, not_before
from readers.visitors import passing_over_spoiled

_log = logging.getLogger(__name__)

REFRESH_S = 0.25
"""Between two looks at what has changed."""


class Ranked(NamedTuple):
    """What was found for a visitor: as of when, in which arm of the experiment, ranked by which version."""

    found: Recommendation
    time: StreamTime
    arm: str
    version: str


class LiveRecommendations:
    """Ranks with what was last read; `start` begins to follow what changes."""

    def __init__(self, reader: Reader, feed: RecommendationFeed, ranking: Ranking) -> None:
        settings = reader.settings
        self._reader = reader
        self.feed, self.ranking = feed, ranking
        self._arms = Arms(
            hold_out=settings.recommendation_hold_out,
            others=settings.recommendation_arms,
            salt=settings.namespace,
        )
        self.has_read = asyncio.Event()
        """Set once all that is there was read: before that there is too little to rank with."""
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

    async def rank(self, asked: RecommendationRequest, facts: VisitorFacts) -> Ranked:
        """What to show, by what is asked and what is known of the visitor.

        Raises `SpoiledVisitor` and `redis.RedisError`.
        """
        now = await self._reader.stream_time()
        visitor, arm = facts.visitor, Arm(MAIN)
        if facts.visitor_id is not None:
            arm = self._arms.find(facts.visitor_id)
        if visitor is None:
            request = to_request(asked, facts, now.as_of_ms)
        else:
            with passing_over_spoiled(visitor):
                now = not_before(now, visitor.totals.last_ms)
                request = to_request(asked, facts, now.as_of_ms)
        found, version = self.ranking.recommend(self.feed.index, self.feed.catalogue, _for_arm(request, arm))
        return Ranked(found, now, arm.name, version)

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
                self.has_read.set()
            await asyncio.sleep(REFRESH_S)


def _for_arm(request: RecommendationRequest, arm: Arm) -> RecommendationRequest:
    if arm.name == HELD_OUT:
        return replace(request, scenario=Scenario.TRENDING)
    return request if arm.weights is None else replace(request, weights=arm.weights)
