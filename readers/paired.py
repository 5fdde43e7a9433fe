"""What two versions of a model came to, judged by the same answers, all partitions together."""

from models.lifecycle.pairs import PairSums, sums_of
from models.quality import add_up
from readers.reader import Reader


async def read_paired(reader: Reader, pair: str) -> PairSums:
    """The sums of a pair (`models.lifecycle.pairs.pair_name`); raises `redis.RedisError`."""
    pipe = reader.redis.pipeline(transaction=False)
    for p in reader.partitions:
        pipe.hgetall(reader.keys.paired(p, pair))
    found = [{_text(name): int(n) for name, n in own.items()} for own in await pipe.execute()]
    return sums_of(add_up(found))


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
