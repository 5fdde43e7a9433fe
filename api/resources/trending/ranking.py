"""The products with the highest decayed scores over all partitions, without reading every product."""

from functools import partial
from typing import NamedTuple

from redis.asyncio import Redis

from api.resources.trending import schemas
from models.trending import decay_since, landmarks_as_of, merge_scores, top_products
from readers.intervals import to_datetime
from readers.reader import Reader
from readers.shared_answer import SharedAnswer

MAX_PRODUCTS = 100
_MAX_AGE_S = 0.5
_MAX_CANDIDATES = 2_000
"""Most products read of one list in the second round, so that a flat list of a large shop stays cheap."""

Scores = dict[str, float]


class ScoreList(NamedTuple):
    """One sorted set of scores: a partition's products relative to one landmark."""

    key: str
    landmark_ms: int


class TrendingReport(SharedAnswer[schemas.Trending]):
    """The answer of `/v1/trending`, shared by all who ask within half a second."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(partial(read_trending, reader), max_age_s=_MAX_AGE_S)


async def read_trending(reader: Reader) -> schemas.Trending:
    """The `MAX_PRODUCTS` top products as of stream time."""
    time = await reader.stream_time()
    half_life_s = reader.settings.trend_half_life_s
    landmarks = landmarks_as_of(time.as_of_ms)
    lists = [ScoreList(reader.keys.trend(p, mark), mark) for p in reader.partitions for mark in landmarks]
    merge = Merge(time.as_of_ms, half_life_s * 1_000)
    top = await find_top(reader.redis, lists, merge, MAX_PRODUCTS)
    return schemas.Trending(
        as_of=to_datetime(time.as_of_ms),
        mode=time.mode,
        half_life_s=half_life_s,
        products=[
            schemas.TrendingProduct(rank=rank, product_id=product_id, score=round(score, 4))
            for rank, (product_id, score) in enumerate(top, 1)
        ],
    )


class Merge(NamedTuple):
    """How scores of any list become scores as of one time."""

    as_of_ms: int
    half_life_ms: int

    def factor(self, part: ScoreList) -> float:
        """From a stored score to one as of now; 0 where the list is too old to matter at all."""
        return decay_since(part.landmark_ms, self.as_of_ms, self.half_life_ms)

    def sums(self, lists: list[ScoreList], found: list[Scores]) -> Scores:
        """Scores as of now from what was found in each list, in the same order."""
        parts = ((part.landmark_ms, scores) for part, scores in zip(lists, found, strict=True))
        return merge_scores(parts, as_of_ms=self.as_of_ms, half_life_ms=self.half_life_ms)


async def find_top(redis: Redis, lists: list[ScoreList], merge: Merge, limit: int) -> list[tuple[str, float]]:
    """The `limit` highest sums over all lists.

    Three rounds after Cao and Wang, "Efficient Top-K Query Calculation in Distributed Networks" (PODC 2004):
    the sum of each list's own top gives a bound that the k-th product reaches; a product above it must reach
    the bound's n-th part in one of the n lists; those candidates are then read in every list.
    """
    lists = [part for part in lists if merge.factor(part) > 0]
    first = await _read_top(redis, lists, limit)
    bound = _kth(merge.sums(lists, first), limit)
    if all(len(scores) < limit for scores in first):
        return top_products(merge.sums(lists, first), limit)
    least = [bound / len(lists) / merge.factor(part) for part in lists]
    candidates = sorted(merge.sums(lists, await _read_above(redis, lists, least)))
    return top_products(merge.sums(lists, await _read_each(redis, lists, candidates)), limit)


def _kth(scores: Scores, k: int) -> float:
    top = top_products(scores, k)
    return top[-1][1] if len(top) == k else 0.0


async def _read_top(redis: Redis, lists: list[ScoreList], limit: int) -> list[Scores]:
    pipe = redis.pipeline(transaction=False)
    for part in lists:
        pipe.zrevrange(part.key, 0, limit - 1, withscores=True)
    return [_decode(pairs) for pairs in await pipe.execute()]


async def _read_above(redis: Redis, lists: list[ScoreList], least: list[float]) -> list[Scores]:
    pipe = redis.pipeline(transaction=False)
    for part, score in zip(lists, least, strict=True):
        pipe.zrevrangebyscore(part.key, "+inf", score, start=0, num=_MAX_CANDIDATES, withscores=True)
    return [_decode(pairs) for pairs in await pipe.execute()]


async def _read_each(redis: Redis, lists: list[ScoreList], product_ids: list[str]) -> list[Scores]:
    pipe = redis.pipeline(transaction=False)
    for part in lists:
        pipe.zmscore(part.key, product_ids)
    return [
        {
            product_id: score
            for product_id, score in zip(product_ids, scores, strict=True)
            if score is not None
        }
        for scores in await pipe.execute()
    ]


def _decode(pairs: list[tuple[bytes, float]]) -> Scores:
    return {product_id.decode(): score for product_id, score in pairs}
