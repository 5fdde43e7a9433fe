"""A round: one batch each of several partitions, from their entries to what Redis says of the commits."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from contracts.clock import wall_clock_ms
from contracts.scores import Score
from contracts.settings import Settings
from stream.batch.core import Core
from stream.batch.step import BatchResult, Entry, StepSettings, take_scores
from stream.partitions.committer import Committer
from stream.partitions.partition import Partition
from stream.runtime.metrics import Meter
from stream.scoring.scorer import Scorer
from stream.state.commit import Commit

COMMITS_AT_ONCE = 3
"""Commits sent together: Redis works on them while those of the next partitions are made."""

Offsets = dict[str, tuple[int, int]]
"""Per topic the stored offset and the one after the commit."""


class Batch(NamedTuple):
    """What a round takes from one partition."""

    part: Partition
    entries: list[Entry]
    offsets: Offsets


class Rounds:
    """Applies, scores and commits the batches of a round."""

    def __init__(
        self, settings: Settings, core: Core, committer: Committer, scorer: Scorer, meter: Meter
    ) -> None:
        self._core = core
        self._scoring = settings.scoring
        self._rules = StepSettings.of(settings)
        self._committer = committer
        self._scorer = scorer
        self._meter = meter

    async def run(self, batches: Sequence[Batch]) -> None:
        """One round; raises `stream.partitions.committer.Fenced` if this worker is a zombie."""
        outcomes = await self._apply(batches)
        scores = await self._score(outcomes)
        calls: list[asyncio.Task[None]] = []
        try:
            for at in range(0, len(batches), COMMITS_AT_ONCE):
                mine = slice(at, at + COMMITS_AT_ONCE)
                for outcome, found in zip(outcomes[mine], scores[mine], strict=True):
                    self._take_scores(outcome, found)
                calls.append(asyncio.create_task(self._commit(batches[mine], outcomes[mine])))
                await asyncio.sleep(0)  # on to where it waits for Redis
            await asyncio.gather(*calls)
        finally:
            for call in calls:
                call.cancel()

    async def _apply(self, batches: Sequence[Batch]) -> list[BatchResult]:
        wanted = [(b.part, self._core.users_of(b.entries)) for b in batches]
        states = await self._committer.states(wanted)
        return [
            self._core.apply_batch(
                part.clock, entries, visitors, self._rules, level=part.level, forgotten=part.forgotten
            )
            for (part, entries, _), visitors in zip(batches, states, strict=True)
        ]

    async def _score(self, outcomes: Sequence[BatchResult]) -> list[dict[str, Score]]:
        """Scores of the visitors of each outcome; the model is asked about those of all at once."""
        if not self._scoring:
            return [{} for _ in outcomes]
        found = await self._scorer.score(
            {
                (place, user_id): (visitor, outcome.level)
                for place, outcome in enumerate(outcomes)
                for user_id, visitor in outcome.visitors.items()
                if not visitor.ended
            }
        )
        scores: list[dict[str, Score]] = [{} for _ in outcomes]
        for (place, user_id), score in found.items():
            scores[place][user_id] = score
        return scores

    def _take_scores(self, outcome: BatchResult, scores: Mapping[str, Score]) -> None:
        if self._scoring:
            asked = sum(not visitor.ended for visitor in outcome.visitors.values())
            outcome.count("scored", len(scores))
            outcome.count("skipped", asked - len(scores))
        take_scores(outcome, scores, self._rules.alerts)

    async def _commit(self, batches: Sequence[Batch], outcomes: Sequence[BatchResult]) -> None:
        commits: list[Commit] = [
            self._committer.commit_of(part, offsets, outcome)
            for (part, _, offsets), outcome in zip(batches, outcomes, strict=True)
        ]
        stored = await self._committer.commit([part for part, _, _ in batches], commits)
        done_ms = wall_clock_ms()
        for (_, entries, _), outcome, is_stored in zip(batches, outcomes, stored, strict=True):
            if is_stored:
                self._meter.count_batch(entries, outcome, now_ms=done_ms)
