"""Bodies that take long to come: how many of them one process waits for, and how much of them it keeps."""

import ipaddress
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus

from api.http.errors import Refused

PATIENCE_S = 1.0
"""A body that is not there after this is slow. Most come in the packet of their head."""
_BYTES_EACH = 128 * 1024
"""For so many bytes of each there is room on average; a body may have more while others have less."""
_IPV6_PREFIX = 64


@dataclass(slots=True)
class SlowPlace:
    """One slow body: where it comes from, and how much of it is there."""

    network: str
    key_id: str
    n_bytes: int = 0


class SlowBodies:
    """Places for slow bodies: an eighth of them for one address, half of them for one key.

    A body that finds none is given up: waiting costs memory, and whoever sends so on purpose has many.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._per_address = max(1, limit // 8)
        self._per_key = max(1, limit // 2)
        self._max_bytes = limit * _BYTES_EACH
        self._addresses: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._n_bytes = 0

    def enter(self, address: str, key_id: str, n_bytes: int) -> SlowPlace:
        """A place for a body of which `n_bytes` are there; raises `Refused` if there is none.

        `key_id` is empty as long as nobody knows whose key it is.
        """
        place = SlowPlace(_network_of(address), key_id)
        if (
            self._addresses.total() >= self._limit
            or self._addresses[place.network] >= self._per_address
            or (key_id and self._keys[key_id] >= self._per_key)
        ):
            raise _too_slow()
        self.add(place, n_bytes)
        self._addresses[place.network] += 1
        self._keys[key_id] += 1
        return place

    def add(self, place: SlowPlace, n_bytes: int) -> None:
        """Counts what has come; raises `Refused` if slow bodies are too large together."""
        if self._n_bytes + n_bytes > self._max_bytes:
            raise _too_slow()
        self._n_bytes += n_bytes
        place.n_bytes += n_bytes

    def leave(self, place: SlowPlace) -> None:
        """Gives the place back, once."""
        self._n_bytes -= place.n_bytes
        for counter, name in ((self._addresses, place.network), (self._keys, place.key_id)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]


def _network_of(address: str) -> str:
    """An address, of version 6 its network: a single client has all of one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4:
        return address
    return str(ipaddress.ip_network((address.partition("%")[0], _IPV6_PREFIX), strict=False))


def _too_slow() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_TIMEOUT,
        "body.too_slow",
        f"the body was not received within {PATIENCE_S:g} s, like too many others; send it again",
        headers={"Retry-After": "1"},
    )
