"""The hold-out group: visitors whose alerts are decided and counted, but not published."""

import hashlib
from typing import NamedTuple

_PARTS = 1 << 32


class HoldOut(NamedTuple):
    """A `share` of the visitors, always the same ones; `salt` makes those of two shops independent."""

    share: float = 0.0
    salt: str = ""

    def holds(self, user_id: str) -> bool:
        """Whether a visitor is in the group."""
        if not self.share:
            return False
        digest = hashlib.blake2b(f"hold-out:{self.salt}:{user_id}".encode(), digest_size=4).digest()
        return int.from_bytes(digest) < self.share * _PARTS
