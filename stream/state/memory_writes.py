"""The operations of `stream.state.writes` on the memory store; lifetimes are left out."""

from collections.abc import Callable, Collection
from typing import Any

from contracts.numbers import MAX_SUM_MINOR
from stream.state.memory_partition import Hash, MemoryPartition, SortedSet, Stream
from stream.state.writes import (
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
    Value,
    Write,
)


def apply_write(part: MemoryPartition, write: Write) -> None:
    """Do what the operation says; that it can be done was checked before."""
    _APPLY[type(write)](part, write)


def _add_to_hashes(part: MemoryPartition, write: AddToHashes) -> None:
    for key, _ in write.hashes if write.changes else ():
        held = part.values.setdefault(key, Hash())
        for name, change in write.changes.items():
            held[name] = str(min(int(held.get(name, 0)) + change, MAX_SUM_MINOR))


def _set_in_hash(part: MemoryPartition, write: SetInHash) -> None:
    held = part.values.setdefault(write.key, Hash())
    held.update({name: _held(value) for name, value in write.values.items()})


def _set_in_hashes(part: MemoryPartition, write: SetInHashes) -> None:
    for key, name, value in zip(write.hashes, write.names, write.values, strict=True):
        part.values.setdefault(key, Hash())[name] = _held(value)


def _keep_highest(part: MemoryPartition, write: KeepHighest) -> None:
    held = part.values.get(write.key, {})
    surplus = min(len(held) - write.keep, write.most)
    for member in sorted(held, key=lambda member: (held[member], member.encode()))[: max(0, surplus)]:
        part.values.pop(write.start + member, None)
        del held[member]


def _remove_from_hash(part: MemoryPartition, write: RemoveFromHash) -> None:
    _remove(part, write.key, write.names)


def _put_blobs(part: MemoryPartition, write: PutBlobs) -> None:
    part.values.update(write.blobs)


def _delete_keys(part: MemoryPartition, write: DeleteKeys) -> None:
    for key in write.deleted:
        part.values.pop(key, None)


def _raise_scores(part: MemoryPartition, write: RaiseScores) -> None:
    held = part.values.setdefault(write.key, SortedSet())
    for member, change in write.changes.items():
        held[member] = held.get(member, 0.0) + change
    if write.keep:
        for member in sorted(held, key=lambda member: (held[member], member.encode()))[: -write.keep]:
            del held[member]


def _set_scores(part: MemoryPartition, write: SetScores) -> None:
    held = part.values.setdefault(write.key, SortedSet())
    held.update({member: float(score) for member, score in write.scores.items()})
    for member in [member for member, score in held.items() if score < write.lowest]:
        del held[member]


def _remove_members(part: MemoryPartition, write: RemoveMembers) -> None:
    _remove(part, write.key, write.members)


def _add_to_set(part: MemoryPartition, write: AddToSet) -> None:
    if write.members:
        part.values.setdefault(write.key, set()).update(write.members)


def _remove_from_set(part: MemoryPartition, write: RemoveFromSet) -> None:
    part.values.get(write.key, set()).difference_update(write.members)


def _append_to_list(part: MemoryPartition, write: AppendToList) -> None:
    held = part.values.setdefault(write.key, [])
    held += write.values
    del held[: -write.keep]


def _append_to_stream(part: MemoryPartition, write: AppendToStream) -> None:
    held = part.values.setdefault(write.key, Stream())
    for entry in write.entries:
        held.newest += 1
        held.append((f"{held.newest}-0", dict(entry)))
    if write.keep:
        del held[: -write.keep]


def _expire(part: MemoryPartition, write: Expire) -> None:
    """Nothing: this store lets no key expire."""


def _held(value: Value) -> Any:
    """What a field of a hash holds: bytes as they are, everything else as text."""
    return value if isinstance(value, bytes) else str(value)


def _remove(part: MemoryPartition, key: str, names: Collection[str]) -> None:
    held = part.values.get(key, {})
    for name in names:
        held.pop(name, None)
    if not held:
        part.values.pop(key, None)


_APPLY: dict[type[Write], Callable[[MemoryPartition, Any], None]] = {
    AddToHashes: _add_to_hashes,
    SetInHash: _set_in_hash,
    RemoveFromHash: _remove_from_hash,
    PutBlobs: _put_blobs,
    DeleteKeys: _delete_keys,
    RaiseScores: _raise_scores,
    SetScores: _set_scores,
    RemoveMembers: _remove_members,
    AddToSet: _add_to_set,
    RemoveFromSet: _remove_from_set,
    AppendToList: _append_to_list,
    AppendToStream: _append_to_stream,
    Expire: _expire,
    SetInHashes: _set_in_hashes,
    KeepHighest: _keep_highest,
}
