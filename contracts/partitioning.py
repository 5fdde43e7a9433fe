"""Where a visitor lives: Kafka partition and the Redis hash tag that goes with it."""

from functools import lru_cache

from aiokafka.partitioner import murmur2  # quicker to import than that of kafka-python
from redis.crc import key_slot

_SLOTS = 16_384


def partition_of(user_id: str, partitions: int) -> int:
    """The Kafka partition of a key, as Kafka's default partitioner (murmur2) computes it."""
    return hash_of(user_id) % partitions


@lru_cache(maxsize=65_536)  # murmur2 in Python is slow, and visitors come again
def hash_of(key: str) -> int:
    """The number by which Kafka's default partitioner chooses."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF)


@lru_cache(maxsize=8)
def hash_tags(partitions: int) -> tuple[str, ...]:
    """One Redis hash tag per partition, spread evenly over Redis Cluster's 16,384 slots.

    The plain tags `{0}`..`{11}` fall on 6 equal shards as 3, 1, 2, 3, 0, 3. Each tag here is the first small
    number whose slot lies within 1/8 of a partition's share around the middle of that share, so any number of
    shards that divides `partitions` gets equal parts. The search is deterministic: tags never change for a
    given number of partitions.
    """
    share = _SLOTS / partitions
    wanted = [share * (p + 0.5) for p in range(partitions)]
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        slot = key_slot(str(number).encode())
        p = min(int(slot / share), partitions - 1)
        if p not in found and abs(slot - wanted[p]) <= max(1.0, share / 8):
            found[p] = str(number)
        number += 1
    return tuple(found[p] for p in range(partitions))
