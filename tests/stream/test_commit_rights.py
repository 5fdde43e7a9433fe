"""A right that is taken from a worker in mid-run: its commits write nothing, on Redis 6 as on later ones."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import redis.asyncio as redis
from redis.exceptions import NoPermissionError

from contracts.key_families import KeyFamily, register_family
from contracts.keys import Keys
from stream.runtime.metrics import Meter
from stream.state.commit import NO_OFFSET, Commit, CommitStatus
from stream.state.redis_store import RedisStore
from stream.state.store import retry
from stream.state.writes import (
    OPERATIONS,
    AddToHashes,
    AddToSet,
    AppendToList,
    AppendToStream,
    DeleteKeys,
    Expire,
    KeepHighest,
    PutBlobs,
    RaiseScores,
    RemoveFromHash,
    RemoveFromSet,
    RemoveMembers,
    SetInHash,
    SetInHashes,
    SetScores,
    Write,
)

P = 1
for name, kind in (("rh:", "hash"), ("rz:", "zset"), ("rs:", "set"), ("rl:", "list"), ("rx:", "stream")):
    register_family(KeyFamily(name, kind))  # type: ignore[arg-type]
register_family(KeyFamily("rb:", "string"))

NEEDED: dict[str, Write] = {
    "hset": SetInHash("rh:1", {"a": 1}),
    "hdel": RemoveFromHash("rh:1", ["a"]),
    "set": PutBlobs({"rb:1": b"x"}, 60),
    "del": DeleteKeys(["rb:2"]),
    "zadd": SetScores("rz:1", {"a": 1.0}),
    "zremrangebyscore": SetScores("rz:1", {"a": 1.0}, lowest=1.0),
    "zremrangebyrank": RaiseScores("rz:2", {"a": 1.0}, keep=1),
    "zrem": RemoveMembers("rz:1", ["b"]),
    "sadd": AddToSet("rs:1", ["a"]),
    "srem": RemoveFromSet("rs:2", ["a"]),
    "rpush": AppendToList("rl:1", ["a"], 0),
    "ltrim": AppendToList("rl:1", ["a"], 1),
    "xadd": AppendToStream("rx:1", [{"a": "b"}]),
    "xtrim": AppendToStream("rx:1", [{"a": "b"}], keep=1),
    "expire": Expire(["rb:1"], 60),
    "zcard": KeepHighest("rz:3", 1, "rb:", 1),
    "zrange": KeepHighest("rz:3", 1, "rb:", 1),
}
"""Every command that a commit needs once it writes, and an operation that runs it."""
FIRST: tuple[Write, ...] = (
    AddToHashes([("rh:2", 0)], {"a": 1}),
    PutBlobs({"rb:3": b"x"}, 0),
    SetInHashes(["rh:3"], ["a"], [1]),
    SetScores("rz:3", {"a": 1, "b": 2}),
)
"""What stands before it in the commit, and would be written if the script ended there."""


@pytest.fixture
async def admin(redis_url: str) -> AsyncIterator[redis.Redis]:
    client = redis.Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def keys(admin: redis.Redis) -> AsyncIterator[Keys]:
    keys = Keys(f"t{uuid4().hex[:10]}", 2)
    yield keys
    names = [name async for name in admin.scan_iter(match=f"{keys.namespace}:*")]
    if names:
        await admin.unlink(*names)


@pytest.fixture
async def worker(admin: redis.Redis, keys: Keys, redis_url: str) -> AsyncIterator[redis.Redis]:
    """A client of a user of its own, which may do everything with the keys of the installation."""
    user = keys.namespace
    await admin.acl_setuser(user, enabled=True, nopass=True, keys=[f"{user}:*"], categories=["+@all"])
    client = redis.Redis.from_url(redis_url, username=user, password="any")  # noqa: S106  # the user has none
    yield client
    await client.aclose()
    await admin.acl_deluser(user)


async def held(admin: redis.Redis, keys: Keys) -> dict[bytes, bytes | None]:
    """All keys of the installation, with what they hold."""
    return {name: await admin.dump(name) async for name in admin.scan_iter(match=f"{keys.namespace}:*")}


def commit_of(epoch: int, offset: int, *writes: Write) -> Commit:
    return Commit(P, epoch, {"view": (offset, offset + 1)}, writes, {})


def test_every_operation_is_tried() -> None:
    assert {type(write) for write in (*NEEDED.values(), *FIRST)} == set(OPERATIONS)


@pytest.mark.parametrize("command", NEEDED)
async def test_a_commit_that_lacks_a_right_writes_nothing(
    admin: redis.Redis, worker: redis.Redis, keys: Keys, command: str
) -> None:
    store = RedisStore(worker, keys)
    epoch = (await store.claim({P: 0}))[P].epoch
    writes = (*FIRST, NEEDED[command])
    assert await store.commit([commit_of(epoch, NO_OFFSET, *writes)]) == [CommitStatus.APPLIED]
    before = await held(admin, keys)
    await admin.acl_setuser(keys.namespace, enabled=True, commands=[f"-{command}"])
    with pytest.raises(NoPermissionError, match=f"(?i)'{command}' command"):
        await store.commit([commit_of(epoch, NO_OFFSET + 1, *writes)])
    assert await held(admin, keys) == before
    await admin.acl_setuser(keys.namespace, enabled=True, commands=[f"+{command}"])
    assert await store.commit([commit_of(epoch, NO_OFFSET + 1, *writes)]) == [CommitStatus.APPLIED]


async def test_rights_are_tried_on_keys_that_stay_as_they_are(admin: redis.Redis, keys: Keys) -> None:
    store = RedisStore(admin, keys)
    epoch = (await store.claim({P: 0}))[P].epoch
    assert await store.commit([commit_of(epoch, NO_OFFSET, *NEEDED.values())]) == [CommitStatus.APPLIED]
    meta = await admin.hgetall(keys.meta(P))
    assert meta.keys() == {b"epoch", b"off:view"}
    assert await admin.exists(f"{keys.prefix(P)}none") == 0


@pytest.mark.parametrize("is_mended", [True, False])
async def test_what_is_refused_to_a_commit_stays_refused_while_others_write(
    admin: redis.Redis, worker: redis.Redis, keys: Keys, is_mended: bool
) -> None:
    """A watchdog that heard of heartbeats alone would end the worker for the commit that waits."""
    store, meter = RedisStore(worker, keys), Meter()
    epoch = (await store.claim({P: 0}))[P].epoch
    await admin.acl_setuser(keys.namespace, enabled=True, commands=["-set"])
    commits = [commit_of(epoch, NO_OFFSET, NEEDED["set"])]
    waiting = asyncio.create_task(retry(meter, lambda: store.commit(commits), writes=True))
    while not meter.redis.is_refused:
        await asyncio.sleep(0.01)
    await worker.hset(keys.worker("w1"), "at_ms", "1")
    meter.redis.answered(wrote=True)
    assert meter.redis.is_refused
    if is_mended:
        await admin.acl_setuser(keys.namespace, enabled=True, commands=["+set"])
        assert await waiting == [CommitStatus.APPLIED]
    else:
        waiting.cancel()
        await asyncio.wait([waiting])
    assert meter.redis.trouble is None
