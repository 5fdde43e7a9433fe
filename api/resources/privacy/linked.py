"""Whom a deletion is of: the id that was named, and every id that is linked to it."""

import asyncio

from api.resources.customers.unlinking import forget_customer, forget_device
from api.resources.privacy.job import DeletionJob
from api.resources.privacy.jobs import DeletionJobs
from api.resources.privacy.recorder import record
from contracts.key_families import CUSTOMER, VISITOR, snapshot_key
from contracts.logins import login_of
from contracts.recommendations import RECOMMENDATIONS
from readers.customers import read_customer
from readers.reader import Reader
from readers.visitors import read_visitor


async def open_deletions(
    reader: Reader, jobs: DeletionJobs, user_id: str, request_key: str = ""
) -> DeletionJob:
    """The deletion of a visitor or customer, recorded; those of all ids that are linked are parts of it.

    Parts are opened before the whole: whoever goes on with them needs no links any more. Raises
    `jobs.ReusedKey` or `recorder.Unrecorded`.
    """
    parts = [await jobs.open(id_) for id_ in await linked_ids(reader, user_id)]
    job = await jobs.open(user_id, request_key)
    others = sorted({part.deletion_id for part in parts} | set(job.parts) - {job.deletion_id})
    if others and tuple(others) != job.parts:
        job = await jobs.change(job, parts=tuple(others))
    job = await record(reader, jobs, job)
    for part in parts:
        await record(reader, jobs, part)
    return job


async def linked_ids(reader: Reader, user_id: str) -> list[str]:
    """The customer who is logged in on the device, and all devices of that customer; not the id itself."""
    visitor, customer = await asyncio.gather(read_visitor(reader, user_id), read_customer(reader, user_id))
    found: set[str] = set()
    if customer is not None:
        found.update(device.visitor_id for device in customer.devices)
    owner_id = login_of(visitor).customer_id
    if owner_id:
        owner = await read_customer(reader, owner_id)
        devices = () if owner is None else owner.devices
        found.update((owner_id, *[device.visitor_id for device in devices]))
    return sorted(found - {user_id})


async def forget_in(reader: Reader, key: str, user_id: str) -> bool:
    """Have the state under a key forget an id that it names; False if it is no visitor's or customer's.

    Somebody else may have used a device of theirs. What was stored of recommendations there is removed: it is
    made anew. Raises `unlinking.NotRecorded` and `redis.RedisError`.
    """
    _, _, name = key.partition("}:")
    if name.startswith(CUSTOMER):
        await forget_device(reader, name.removeprefix(CUSTOMER), user_id)
    elif name.startswith(VISITOR):
        await forget_customer(reader, name.removeprefix(VISITOR), user_id)
    elif name.startswith(snapshot_key(RECOMMENDATIONS, "")):
        await reader.redis.delete(key)
    else:
        return False
    return True
