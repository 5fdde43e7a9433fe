"""A bounded cache of values by id: those written longest ago go first."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Values that are in the store as they are here, until somebody else owns the partition."""

    def __init__(self) -> None:
        self._values: dict[str, V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def known(self, ids: Iterable[str]) -> dict[str, V]:
        """Those of the values that are here."""
        values = self._values
        return {id_: values[id_] for id_ in ids if id_ in values}

    def put(self, values: Mapping[str, V], limit: int) -> None:
        """Take values, newest last; the oldest go when there are more than `limit`, a few at a time.

        To find the first of a dict is slow where many before it were deleted.
        """
        mine = self._values
        for id_, value in values.items():
            mine.pop(id_, None)
            mine[id_] = value
        if len(mine) > limit:
            for id_ in list(islice(mine, len(mine) - limit + limit // 16)):
                del mine[id_]

    def drop(self, id_: str) -> None:
        """Forget a value, if it is here."""
        self._values.pop(id_, None)
