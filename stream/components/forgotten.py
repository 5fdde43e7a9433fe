"""Who was deleted, for components that keep what is sent of a visitor or customer out after the deletion."""

from collections.abc import Iterable

from contracts.deletions import digest_user
from contracts.key_families import FORGOTTEN
from stream.components.component import StateReader


async def read_cuts(reader: StateReader, ids: Iterable[str], secret: str) -> dict[str, int]:
    """Of those of the ids that were deleted, up to when (epoch ms) what is sent of them is kept out."""
    digests = {digest_user(id_, secret): id_ for id_ in ids}
    found = await reader.fields(FORGOTTEN, digests.keys())
    return {digests[digest]: int(cut_ms) for digest, cut_ms in found.items()}
