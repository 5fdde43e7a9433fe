"""Merging the co-partitioned topics of one partition by event time."""

from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import TypeVar

from stream.batch import Entry

Topic = TypeVar("Topic", bound=str)


def merge_heads(
    buffers: Mapping[Topic, deque[Entry]], order: Sequence[Topic], *, awaited: Set[Topic], limit: int
) -> list[tuple[Topic, Entry]]:
    """Take up to `limit` entries off the buffers, always from the topic whose head is earliest.

    Entries of one topic keep their order; ties go to the topic that comes first in `order`. Stops when a
    topic in `awaited` (it has records that are still on their way) runs empty, since its next head may be the
    earliest. This is how Kafka Streams merges the partitions of a task.
    """
    merged: list[tuple[Topic, Entry]] = []
    filled = [topic for topic in order if buffers[topic]]
    if len(filled) < len(order) and any(topic in awaited for topic in order if not buffers[topic]):
        return merged
    while filled and len(merged) < limit:
        if len(filled) == 1:
            topic = filled[0]
            buffer = buffers[topic]
            take = min(len(buffer), limit - len(merged))
            merged += [(topic, buffer.popleft()) for _ in range(take)]
            break
        topic = min(filled, key=lambda name: buffers[name][0].at_ms)
        buffer = buffers[topic]
        merged.append((topic, buffer.popleft()))
        if not buffer:
            if topic in awaited:
                break
            filled.remove(topic)
    return merged
