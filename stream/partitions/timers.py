"""Commits without new events: deadlines that the watermark has passed, and partitions at rest."""

import time
from collections.abc import Sequence

from stream.batch.step import BatchResult, StepSettings, fire_deadlines
from stream.partitions.committer import Committer
from stream.partitions.partition import TIMERS, Partition

DUE_LIMIT = 500
VERIFY_S = 2.0


async def fire_due(parts: Sequence[Partition], committer: Committer, rules: StepSettings) -> bool:
    """Fire the deadlines that the watermark has passed; whether there may be more of them."""
    due_parts = [
        part
        for part in parts
        if part.next_due_ms is not None and part.next_due_ms < committer.watermark(part)
    ]
    if not due_parts:
        return False
    due = await committer.due(due_parts, DUE_LIMIT)
    fired: list[tuple[Partition, list[str]]] = []
    is_more = False
    for part in due_parts:
        watermark_ms = committer.watermark(part)
        users = [user for user, at_ms in due[part.number] if at_ms < watermark_ms]
        later = [at_ms for _, at_ms in due[part.number] if at_ms >= watermark_ms]
        part.next_due_ms = later[0] if later else None
        if len(users) == DUE_LIMIT:
            part.next_due_ms = due[part.number][-1][1]
            is_more = True
        if users:
            fired.append((part, users))
    states = await committer.states([(part, set(users)) for part, users in fired])
    commits = []
    for (part, users), visitors in zip(fired, states, strict=True):
        outcome = fire_deadlines(
            part.clock, committer.watermark(part), users, visitors, rules, level=part.level
        )
        ticks = part.stored[TIMERS]
        commits.append(committer.commit_of(part, part.offsets_to({TIMERS: ticks + 1}), outcome))
    await committer.commit([part for part, _ in fired], commits)
    return is_more


async def verify_resting(parts: Sequence[Partition], committer: Committer) -> None:
    """Commit nothing for partitions that rest: the watermark goes on, and an older Redis is noticed.

    Without it a Redis that came back with the state of a second ago would stay so until the next event.
    """
    now_s = time.monotonic()
    resting = [
        part
        for part in parts
        if part.clock.broker_ms and not part.buffered and now_s - part.verified_s > VERIFY_S
    ]
    commits = [
        committer.commit_of(part, part.offsets_to({}), BatchResult(part.clock, part.level))
        for part in resting
    ]
    await committer.commit(resting, commits)
