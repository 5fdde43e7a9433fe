"""Merging the co-partitioned topics of one partition by event time."""

from collections import deque
from collections.abc import Mapping, Sequence, Set
from math import inf

from stream.batch.step import Entry


def merge_heads(
    buffers: Mapping[str, deque[Entry]], order: Sequence[str], *, awaited: Set[str], limit: int
) -> tuple[list[Entry], dict[str, int]]:
    """Take up to `limit` entries off the buffers, always from the topic whose head is earliest.

    Returns them with the last offset taken per topic. Entries of one topic keep their order; ties go to the
    topic that comes first in `order`. Stops when a topic in `awaited` (it has records that are still on their
    way) runs empty, since its next head may be the earliest. This is how Kafka Streams merges the partitions
    of a task.
    """
    merged: list[Entry] = []
    last: dict[str, int] = {}
    filled = [topic for topic in order if buffers[topic]]
    if any(topic in awaited for topic in order if topic not in filled):
        return merged, last
    while filled and len(merged) < limit:
        topic, until_ms = _earliest(buffers, filled)
        buffer = buffers[topic]
        while buffer and buffer[0].at_ms <= until_ms and len(merged) < limit:
            merged.append(buffer.popleft())
        last[topic] = merged[-1].offset
        if not buffer:
            if topic in awaited:
                break
            filled.remove(topic)
    return merged, last


def _earliest(buffers: Mapping[str, deque[Entry]], filled: Sequence[str]) -> tuple[str, float]:
    """The topic with the earliest head, and the event time up to which it stays the earliest."""
    best, best_ms, until_ms = filled[0], buffers[filled[0]][0].at_ms, inf
    for topic in filled[1:]:
        at_ms = buffers[topic][0].at_ms
        if at_ms < best_ms:
            best, best_ms, until_ms = topic, at_ms, best_ms - 1
        else:
            until_ms = min(until_ms, at_ms)
    return best, until_ms
