"""Places for bodies that take long to come."""

from collections.abc import Sequence
from contextlib import suppress

import pytest

from api.http.errors import Refused
from api.http.slow_bodies import SlowBodies, SlowPlace


def fill(places: SlowBodies, addresses: Sequence[str], key_id: str = "") -> list[SlowPlace]:
    """The places that bodies from these addresses get until one is refused."""
    taken = []
    with suppress(Refused):
        for address in addresses:
            taken.append(places.enter(address, key_id, 1))
    return taken


def test_one_address_gets_an_eighth_of_the_places_and_the_rest_is_for_others() -> None:
    places = SlowBodies(64)
    assert len(fill(places, ["203.0.113.7"] * 64)) == 8
    others = [f"203.0.113.{n}" for n in range(8, 200)]
    assert len(fill(places, others)) == 56


def test_one_key_gets_half_of_the_places_wherever_it_is_used() -> None:
    places = SlowBodies(64)
    addresses = [f"203.0.113.{n}" for n in range(64)]
    assert len(fill(places, addresses, "k1")) == 32
    assert len(fill(places, addresses, "k2")) == 32


def test_addresses_of_one_network_of_version_6_are_one() -> None:
    places = SlowBodies(64)
    assert len(fill(places, [f"2001:db8:1:2::{n:x}" for n in range(64)])) == 8
    assert len(fill(places, ["2001:db8:1:3::1"])) == 1
    assert len(fill(places, ["fe80::1%eth0"] * 64)) == 8
    assert len(fill(places, [""] * 64)) == 8


def test_a_place_that_is_left_is_there_for_the_next() -> None:
    places = SlowBodies(8)
    for _ in range(100):
        (place,) = fill(places, ["203.0.113.7"] * 2)
        places.add(place, 1_000_000)
        places.leave(place)


def test_slow_bodies_together_are_bounded() -> None:
    places = SlowBodies(8)
    place = places.enter("203.0.113.7", "", 0)
    for _ in range(16):
        places.add(place, 64 * 1024)
    with pytest.raises(Refused, match="send it again") as refused:
        places.add(place, 1)
    assert (refused.value.status_code, refused.value.code) == (408, "body.too_slow")
    assert refused.value.headers == {"Retry-After": "1"}
    assert fill(places, ["203.0.113.8"]) == []
    places.leave(place)
    assert len(fill(places, ["203.0.113.8"])) == 1
