"""How many streams one process keeps open, together and per key."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from api.http.errors import Problem


class ConnectionLimiter:
    """Places for open streams; whoever finds none is told when to try again."""

    def __init__(self, total: int, per_key: int) -> None:
        self._total = total
        self._per_key = per_key
        self._open: Counter[str] = Counter()

    @property
    def n_open(self) -> int:
        """Streams that are open now."""
        return self._open.total()

    @contextmanager
    def hold(self, key_id: str) -> Iterator[None]:
        """A place for as long as the block runs; raises `Problem` 429 for the key, 503 for the process."""
        if self._open[key_id] >= self._per_key:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "streams.too_many",
                "this key has reached its limit of open streams",
                headers={"Retry-After": "10"},
            )
        if self.n_open >= self._total:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "streams.full",
                "this process has reached its limit of open streams",
                headers={"Retry-After": "10"},
            )
        self._open[key_id] += 1
        try:
            yield
        finally:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]
