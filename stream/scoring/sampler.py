"""A share of the visitors, always the same ones: work beside the counting then costs the same at any rate."""

from zlib import crc32

_SHARES = 1 << 16
_LOOK_EVERY_MS = 1_000


class Sampler:
    """The share of visitors of whom about `most_per_s` are seen in a second, as event time goes.

    Not as the clock does: history that is read fast is treated as if it came when it happened.
    """

    def __init__(self, most_per_s: int) -> None:
        self._most_per_s = most_per_s
        self._since_ms = 0
        self._seen = 0
        self._share = _SHARES

    def see(self, number: int, at_ms: int) -> None:
        """So many visitors could be chosen at this event time."""
        self._seen += number
        took_ms = at_ms - self._since_ms
        if took_ms >= _LOOK_EVERY_MS:
            most = self._most_per_s * took_ms / 1_000
            self._share = _SHARES if self._seen <= most else int(_SHARES * most / self._seen)
            self._since_ms, self._seen = at_ms, 0

    @property
    def share(self) -> float:
        """The share of the visitors that is chosen now."""
        return self._share / _SHARES

    def chooses(self, user_id: str) -> bool:
        """Whether a visitor is among them; who is chosen at a small share is so at a larger one."""
        return self._share >= _SHARES or crc32(user_id.encode()) % _SHARES < self._share
