"""Every operation on both stores: what it does, and that a commit that meets a conflict writes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio as redis

from contracts.key_families import KeyFamily, families, register_family
from contracts.keys import Keys
from contracts.numbers import MAX_SUM_MINOR
from stream.state.commit import NO_OFFSET, ClaimRead, Commit, CommitStatus, Conflict
from stream.state.memory_store import MemoryStore
from stream.state.redis_store import RedisStore
from stream.state.store import Store
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

P = 2
for start, holds in (("th:", "hash"), ("tz:", "zset"), ("ts:", "set"), ("tl:", "list"), ("tx:", "stream")):
    register_family(KeyFamily(start, holds))  # type: ignore[arg-type]
register_family(KeyFamily("tb:", "string"))


class Held:
    """What the keys of a partition hold, in one form for both stores."""

    def __init__(self, store: Store, keys: Keys, client: redis.Redis | None) -> None:
        self.store = store
        self.keys = keys
        self.client = client
        self._epoch = 0
        self._offset = NO_OFFSET

    async def write(self, *writes: Write) -> CommitStatus:
        """Commit these writes as the next record of the topic."""
        if not self._epoch:
            self._epoch = (await self.store.claim({P: 0}))[P].epoch
        commit = Commit(P, self._epoch, {"view": (self._offset, self._offset + 1)}, writes, {"m": "1"})
        (status,) = await self.store.commit([commit])
        self._offset += 1
        return status

    async def offset(self) -> int:
        """The stored offset of the topic."""
        claim = (await self.store.claim({P: 0}))[P]
        self._epoch = claim.epoch
        return claim.offsets.get("view", NO_OFFSET)

    async def of(self, key: str) -> Any:
        """What a key holds: text in plain containers; None for nothing."""
        if isinstance(self.store, MemoryStore):
            return plain(self.store.partitions[P].values.get(key))
        assert self.client is not None
        name = self.keys.prefix(P) + key
        kind = await self.client.type(name)
        if kind == b"hash":
            return plain(await self.client.hgetall(name))
        if kind == b"zset":
            scores: Any = await self.client.zrange(name, 0, -1, withscores=True)
            return plain(dict(scores))
        if kind == b"set":
            return plain(await self.client.smembers(name))
        if kind == b"list":
            return plain(await self.client.lrange(name, 0, -1))
        if kind == b"stream":
            return plain(await self.client.xrange(name))
        return await self.client.get(name)

    async def spoil(self, key: str) -> None:
        """Put a hash where something else is to be written."""
        if isinstance(self.store, MemoryStore):
            await self.store.commit([])
            self.store.partitions[P].values[key] = []
        else:
            assert self.client is not None
            await self.client.rpush(self.keys.prefix(P) + key, "x")


def plain(value: Any) -> Any:
    """Text for bytes and numbers, ids of streams left out."""
    if isinstance(value, dict):
        return {plain(name): held if isinstance(held, float) else plain(held) for name, held in value.items()}
    if isinstance(value, set):
        return {plain(member) for member in value}
    if isinstance(value, list):
        return [plain(part[1] if isinstance(part, tuple) else part) for part in value]
    if isinstance(value, bytes):
        return value.decode()
    return value if value is None or isinstance(value, float) else str(value)


@pytest.fixture(params=["memory", "redis"])
async def held(request: pytest.FixtureRequest) -> AsyncIterator[Held]:
    keys = Keys(f"t{id(request)}", 4)
    if request.param == "memory":
        yield Held(MemoryStore(keys), keys, None)
        return
    client = redis.Redis.from_url(request.getfixturevalue("redis_url"))
    yield Held(RedisStore(client, keys), keys, client)
    left = [key async for key in client.scan_iter(match=f"{keys.namespace}:*")]
    if left:
        await client.unlink(*left)
    await client.aclose()


async def test_sums_in_hashes_grow_together_and_stop(held: Held) -> None:
    changes = {f"n{i}": i for i in range(3_000)}
    await held.write(AddToHashes([("th:1", 60), ("th:2", 0)], changes))
    await held.write(AddToHashes([("th:2", 60)], {"n7": 3, "n8": MAX_SUM_MINOR, "new": -2}))
    assert await held.of("th:1") == {name: str(number) for name, number in changes.items()}
    found = await held.of("th:2")
    assert [found[name] for name in ("n7", "n8", "new", "n2999")] == ["10", str(MAX_SUM_MINOR), "-2", "2999"]


async def test_fields_of_a_hash_are_set_and_removed(held: Held) -> None:
    await held.write(SetInHash("th:1", {"a": 1, "b": "x"}), SetInHash("th:2", {"a": b"y"}, 60))
    await held.write(RemoveFromHash("th:1", ["a", "nothing"]), RemoveFromHash("th:2", ["a"]))
    assert (await held.of("th:1"), await held.of("th:2")) == ({"b": "x"}, None)


async def test_one_field_of_each_of_many_hashes_is_set(held: Held) -> None:
    names = [f"th:{i}" for i in range(3_000)]
    await held.write(SetInHashes(names, ["a"] * 3_000, [b"x"] * 3_000))
    await held.write(SetInHashes(["th:7", "th:7", "th:new"], ["a", "b", "a"], [b"y", 5, "z"], 60))
    assert await held.of("th:7") == {"a": "y", "b": "5"}
    assert (await held.of("th:2999"), await held.of("th:new")) == ({"a": "x"}, {"a": "z"})
    if held.client is not None:
        prefix = held.keys.prefix(P)
        assert 0 < await held.client.ttl(f"{prefix}th:7") <= 60
        assert await held.client.ttl(f"{prefix}th:8") == -1


async def test_the_highest_are_kept_and_with_the_others_goes_a_key(held: Held) -> None:
    await held.write(SetScores("tz:1", {f"m{i}": float(i) for i in range(8)}))
    await held.write(
        SetInHashes([f"th:m{i}" for i in range(8)], ["a"] * 8, ["x"] * 8), PutBlobs({"tb:m0": b"x"}, 0)
    )
    await held.write(SetScores("tz:1", {"m0": 9.0}), KeepHighest("tz:1", 5, "th:", 2))
    assert await held.of("tz:1") == {"m3": 3.0, "m4": 4.0, "m5": 5.0, "m6": 6.0, "m7": 7.0, "m0": 9.0}
    assert [await held.of(f"th:m{i}") for i in range(4)] == [{"a": "x"}, None, None, {"a": "x"}]
    await held.write(KeepHighest("tz:1", 5, "th:", 9), KeepHighest("tz:9", 5, "th:", 9))
    await held.write(KeepHighest("tz:1", 5, "th:", 9))
    assert sorted(await held.of("tz:1")) == ["m0", "m4", "m5", "m6", "m7"]
    assert (await held.of("th:m3"), await held.of("th:m4")) == (None, {"a": "x"})


async def test_blobs_are_put_read_and_deleted_whatever_was_there(held: Held) -> None:
    await held.spoil("tb:1")
    assert await held.write(PutBlobs({"tb:1": b"\x00\xff", "tb:2": b""}, 60)) is CommitStatus.APPLIED
    assert await held.store.read_blobs({P: ["tb:2", "tb:3", "tb:1"]}) == {P: [b"", None, b"\x00\xff"]}
    assert sorted(await held.store.keys_from(P, "tb:")) == ["1", "2"]
    await held.write(DeleteKeys(["tb:1", "tb:3"]), Expire(["tb:2"], 60))
    assert await held.store.keys_from(P, "tb:") == ["2"]


async def test_without_a_limit_a_list_keeps_all_and_a_blob_its_lifetime(held: Held) -> None:
    await held.write(
        PutBlobs({"tb:1": b"x"}, 60), PutBlobs({"tb:2": b"x"}, 0), AppendToList("tl:1", ["a"], 0)
    )
    await held.write(PutBlobs({"tb:1": b"y"}, 0), AppendToList("tl:1", ["b"], 0))
    assert await held.store.read_blobs({P: ["tb:1", "tb:2"]}) == {P: [b"y", b"x"]}
    assert await held.of("tl:1") == ["a", "b"]
    if held.client is not None:
        prefix = held.keys.prefix(P)
        assert 0 < await held.client.ttl(f"{prefix}tb:1") <= 60
        assert await held.client.ttl(f"{prefix}tb:2") == -1


async def test_scores_grow_and_only_the_highest_are_kept(held: Held) -> None:
    await held.write(RaiseScores("tz:1", {f"m{i}": float(i) for i in range(2_500)}))
    await held.write(RaiseScores("tz:1", {"m3": 5_000.5, "new": 0.25}, 60, keep=2))
    assert await held.of("tz:1") == {"m2499": 2_499.0, "m3": 5_003.5}


async def test_scores_are_set_and_those_below_the_lowest_dropped(held: Held) -> None:
    await held.write(SetScores("tz:1", {"a": 5, "b": 10, "c": 20}))
    await held.write(SetScores("tz:1", {"a": 12}, lowest=11), RemoveMembers("tz:1", ["c", "nobody"]))
    assert await held.of("tz:1") == {"a": 12.0}
    assert await held.store.lowest("tz:1", [P], 5) == {P: [("a", 12)]}


async def test_members_of_a_set_come_and_go(held: Held) -> None:
    await held.write(AddToSet("ts:1", ["a", "b"], 60), AddToSet("ts:2", []))
    await held.write(RemoveFromSet("ts:1", ["a"]))
    assert (await held.of("ts:1"), await held.of("ts:2")) == ({"b"}, None)


async def test_lists_and_streams_keep_the_newest(held: Held) -> None:
    await held.write(AppendToList("tl:1", ["a", "b"], 3), AppendToStream("tx:1", [{"n": 1}, {"n": 2}]))
    await held.write(AppendToList("tl:1", ["c", "d"], 3, 60), AppendToStream("tx:1", [{"n": b"3", "o": "x"}]))
    assert await held.of("tl:1") == ["b", "c", "d"]
    assert await held.of("tx:1") == [{"n": "1"}, {"n": "2"}, {"n": "3", "o": "x"}]


@pytest.mark.parametrize(
    "bad",
    [
        AddToHashes([("th:2", 0)], {"n": 1}),
        SetInHash("th:2", {"n": 1}),
        RaiseScores("tz:2", {"m": 1.0}),
        SetScores("tz:2", {"m": 1.0}),
        AddToSet("ts:2", ["m"]),
        AppendToStream("tx:2", [{"n": 1}]),
        SetInHashes(["th:2"], ["n"], [1]),
        KeepHighest("tz:2", 1, "tb:", 1),
    ],
    ids=lambda write: type(write).__name__,
)
async def test_a_key_of_another_type_stops_everything_before_the_first_write(held: Held, bad: Write) -> None:
    await held.write(AddToHashes([("th:1", 0)], {"n": 1}))
    await held.spoil(bad.keys[0])
    good = [
        AddToHashes([("th:1", 0)], {"n": 1}),
        PutBlobs({"tb:1": b"x"}, 60),
        AppendToList("tl:1", ["a"], 9),
    ]
    with pytest.raises(Conflict, match=f"{bad.keys[0]} is a list"):
        await held.write(*good, bad)
    assert (await held.of("th:1"), await held.of("tb:1"), await held.of("tl:1")) == ({"n": "1"}, None, None)
    assert await held.offset() == 0


async def test_a_field_that_is_no_number_stops_everything(held: Held) -> None:
    await held.write(SetInHash("th:1", {"n": "many"}))
    with pytest.raises(Conflict, match=r"th:1 has no number in n"):
        await held.write(PutBlobs({"tb:1": b"x"}, 60), AddToHashes([("th:1", 0)], {"n": 1}))
    assert (await held.of("tb:1"), await held.offset()) == (None, 0)


async def test_a_key_is_added_to_once_in_a_commit(held: Held) -> None:
    twice = [AddToHashes([("th:1", 0)], {"a": 1}), AddToHashes([("th:1", 0)], {"b": 1})]
    with pytest.raises(Conflict, match="th:1 is added to twice"):
        await held.write(*twice)
    assert await held.of("th:1") is None


async def test_a_claim_reads_what_it_is_asked_for(held: Held) -> None:
    await held.write(
        SetInHash("th:1", {"a": 1}), PutBlobs({"tb:1": b"x"}, 60), SetScores("tz:1", {"m": 7, "n": 3})
    )
    reads = [ClaimRead("th:1", "hash"), ClaimRead("tb:1", "blob"), ClaimRead("tz:1", "lowest")]
    reads += [ClaimRead("th:9", "hash"), ClaimRead("tb:9", "blob"), ClaimRead("tz:9", "lowest")]
    found = (await held.store.claim({P: 0}, reads))[P].found
    assert [found[read.key] for read in reads] == [{"a": "1"}, b"x", 3, {}, None, None]
    assert found["meta"]["m"] == "1"


async def test_a_memory_store_takes_no_key_that_nobody_registered() -> None:
    store = MemoryStore(Keys("t", 4))
    await store.claim({P: 0})
    for write in (PutBlobs({"unknown:1": b"x"}, 60), AddToHashes([("tz:1", 0)], {"n": 1})):
        with pytest.raises(Conflict, match=r"contracts\.key_families has (nothing|zset) so named"):
            await store.commit([Commit(P, 1, {"view": (NO_OFFSET, 0)}, [write])])


async def test_a_memory_store_takes_no_key_of_another_slot() -> None:
    store = MemoryStore(SplitKeys("t", 4))
    await store.claim({P: 0})
    with pytest.raises(Conflict, match="lies in another slot"):
        await store.commit([Commit(P, 1, {"view": (NO_OFFSET, 0)}, [PutBlobs({"tb:1": b"x"}, 60)])])


class SplitKeys(Keys):
    """Keys without a hash tag: every one of them lies in a slot of its own."""

    def prefix(self, p: int) -> str:
        return f"{self.namespace}:{p}:"


def test_operations_are_numbered_in_their_order() -> None:
    assert [operation.CODE for operation in OPERATIONS] == list(range(1, len(OPERATIONS) + 1))


@pytest.mark.parametrize("start", ["th:", "th:sub:", "t"])
def test_a_family_that_could_hold_keys_of_another_is_refused(start: str) -> None:
    assert "th:" in {family.start for family in families()}
    with pytest.raises(ValueError, match="could be the same"):
        register_family(KeyFamily(start, "set"))
