"""The record of a deletion: into the deletions topic, to the partition of the visitor."""

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from api.resources.privacy.job import DeletionJob
from api.resources.privacy.jobs import LEASE_MS, DeletionJobs
from connections.kafka import aiokafka_arguments
from contracts.clock import wall_clock_ms
from contracts.deletions import Deletion, encode_deletion, secret_id_of
from contracts.topics import Topics
from readers.reader import Reader
from readers.removal import Trace

RECORD_TIMEOUT_S = 5.0


class Unrecorded(RuntimeError):
    """Kafka did not acknowledge the record; whether it has it is not known."""


async def record(reader: Reader, jobs: DeletionJobs, job: DeletionJob) -> DeletionJob:
    """The deletion, once its record is acknowledged by every replica in sync; raises `Unrecorded`.

    Before, the visitor's id is put beside their state, where the worker finds whom the digest means.
    A producer of its own, for deletions are few: connecting costs some milliseconds.
    """
    settings, keys = reader.settings, reader.keys
    if job.user_id is None or job.offset is not None:
        return job
    await jobs.wait([job], LEASE_MS)
    await reader.redis.hset(keys.forgetting(job.partition), job.digest, job.user_id)
    removed = {"state": await _count_state(reader, job)}
    deletion = Deletion(
        job.deletion_id,
        job.digest,
        job.requested_ms,
        secret_id_of(settings.deletion_secret.get_secret_value()),
    )
    producer = AIOKafkaProducer(**aiokafka_arguments(settings), acks="all", request_timeout_ms=4_000)
    try:
        async with asyncio.timeout(RECORD_TIMEOUT_S):
            await producer.start()
            recorded = await producer.send_and_wait(
                Topics(settings.topic_prefix).deletions,
                encode_deletion(deletion),
                key=job.digest.encode(),
                partition=job.partition,
            )
    except (KafkaError, OSError, AssertionError) as exc:  # aiokafka asserts that the partition is there
        raise Unrecorded(f"the deletion was not acknowledged: {exc!r}") from exc
    finally:
        await producer.stop()
    job = await jobs.change(
        job, offset=recorded.offset, recorded_ms=wall_clock_ms(), removed=job.add_removed(removed)
    )
    await jobs.wait([job], 0)
    return job


async def _count_state(reader: Reader, job: DeletionJob) -> int:
    """1 if the visitor has a state that the worker will remove."""
    return int(await reader.redis.exists(reader.keys.visitor_in(job.partition, job.user_id or "")))


async def scrub_request(reader: Reader, trace: Trace) -> dict[str, int]:
    """The id that was left beside the state for the worker, which takes it away if all goes well."""
    await reader.redis.hdel(reader.keys.forgetting(trace.partition), trace.digest)
    return {}
