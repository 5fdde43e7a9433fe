"""The top over all partitions is exact, and shared answers are read once."""

import asyncio
import random
from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from api.resources.trending.ranking import Merge, ScoreList, find_top
from connections.asyncio_redis import open_redis_pool
from contracts.buckets import TREND_LANDMARK_MS
from contracts.settings import Settings
from models.trending import merge_scores, top_products
from readers.shared_answer import SharedAnswer

AS_OF_MS = 20_000 * TREND_LANDMARK_MS + TREND_LANDMARK_MS // 3
LANDMARKS = (20_000 * TREND_LANDMARK_MS, 19_999 * TREND_LANDMARK_MS)


async def fill(redis: Redis, lists: list[ScoreList], seed: int) -> list[dict[str, float]]:
    chance = random.Random(seed)
    stored = []
    for part in lists:
        products = chance.sample(range(2_000), chance.choice((0, 3, 400, 1_500)))
        scores = {f"p{i}": chance.paretovariate(1.1) * 2.0 ** chance.uniform(0, 16) for i in products}
        if scores:
            await redis.zadd(part.key, scores)
        stored.append(scores)
    return stored


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("limit", [1, 10, 100])
async def test_the_top_over_all_partitions_is_that_of_the_whole_merge(
    settings: Settings, seed: int, limit: int
) -> None:
    merge = Merge(AS_OF_MS, settings.trend_half_life_s * 1_000)
    lists = [
        ScoreList(f"{settings.namespace}:{p}:{mark}:{seed}:{limit}", mark)
        for p in range(6)
        for mark in LANDMARKS
    ]
    redis = open_redis_pool(settings)
    try:
        stored = await fill(redis, lists, seed)
        parts = zip((part.landmark_ms for part in lists), stored, strict=True)
        every = merge_scores(parts, as_of_ms=AS_OF_MS, half_life_ms=merge.half_life_ms)
        expected = top_products(every, limit)
        found = await find_top(redis, lists, merge, limit)
        assert [product for product, _ in found] == [product for product, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected])
    finally:
        await redis.unlink(*(part.key for part in lists))
        await redis.aclose()


async def test_an_answer_is_read_once_by_all_who_ask_at_once() -> None:
    reads = 0

    async def read() -> int:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return reads

    shared = SharedAnswer(read, max_age_s=60)
    assert await asyncio.gather(*(shared.get() for _ in range(20))) == [1] * 20
    eager = SharedAnswer(read, max_age_s=0)
    assert [await eager.get(), await eager.get()] == [2, 3]


async def test_an_answer_that_is_made_again_is_given_meanwhile() -> None:
    reads, may_end = 0, asyncio.Event()

    async def read() -> int:
        nonlocal reads
        reads += 1
        number = reads
        if number == 2:
            await may_end.wait()
        if number == 3:
            raise ValueError("away")
        return number

    shared = SharedAnswer(read, max_age_s=600, renew_after_s=0)
    assert [await shared.get(), await shared.get(), await shared.get()] == [1, 1, 1]
    may_end.set()
    found = [1]
    while found[-1] != 4:  # the third fails, and nobody is told
        await asyncio.sleep(0)
        found.append(await shared.get())
    assert set(found) == {1, 2, 4}


async def test_a_failed_read_is_not_kept() -> None:
    answers: Iterator[ValueError | int] = iter([ValueError("once"), 7])

    async def read() -> int:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    shared = SharedAnswer(read, max_age_s=60)
    with pytest.raises(ValueError, match="once"):
        await shared.get()
    assert await shared.get() == 7
