"""What a partition has learnt as bytes: the numbers of tables are nearly all 0, and left out."""

from typing import NamedTuple

import msgpack
import numpy as np

from models.online.sums import SIZE, Floats, forget_model, nothing_learnt

FORMAT = 1
_NUMBER = np.dtype("<f4")
_PLACE = np.dtype("<u2")


class InvalidLearned(ValueError):
    """Bytes that hold nothing learnt; the message says why."""


class Learned(NamedTuple):
    """What was learnt (`models.online.sums`) and of which version of the model; times are event times.

    `since_ms` is that of the first answer, 0 for none, `at_ms` of the last.
    """

    vector: Floats
    version: str = ""
    since_ms: int = 0
    at_ms: int = 0

    def vector_of(self, version: str) -> Floats:
        """The vector, without what it says of another version of the model."""
        return self.vector if version == self.version else forget_model(self.vector)


NOTHING = Learned(nothing_learnt())


def pack_learned(learned: Learned) -> bytes:
    """The bytes, with numbers of 32 bits."""
    vector, version, since_ms, at_ms = learned
    places = np.flatnonzero(vector)
    fields = (
        FORMAT, version, since_ms, at_ms, SIZE,
        places.astype(_PLACE).tobytes(), vector[places].astype(_NUMBER).tobytes(),
    )  # fmt: skip
    packed: bytes = msgpack.packb(fields)
    return packed


def unpack_learned(packed: bytes) -> Learned:
    """What `pack_learned` was given; raises `InvalidLearned`, also for numbers of another layout."""
    try:
        form, version, since_ms, at_ms, size, places, numbers = msgpack.unpackb(packed)
        if form != FORMAT or size != SIZE:
            raise InvalidLearned(f"it has format {form} and {size} numbers, expected {FORMAT} and {SIZE}")
        vector = nothing_learnt()
        vector[np.frombuffer(places, dtype=_PLACE)] = np.frombuffer(numbers, dtype=_NUMBER)
    except InvalidLearned:
        raise
    except Exception as exc:  # msgpack and numpy have no common base of their errors
        raise InvalidLearned(f"its {len(packed)} bytes cannot be decoded ({type(exc).__name__})") from exc
    if not np.isfinite(vector).all():
        raise InvalidLearned("it has values that are not numbers")
    return Learned(vector, str(version), int(since_ms), int(at_ms))


def add_up(parts: list[Learned], version: str) -> Learned:
    """What all of them together have learnt, of this version of the model."""
    vector = sum((part.vector_of(version) for part in parts), nothing_learnt())
    known = [part for part in parts if part.since_ms]
    since_ms = min((part.since_ms for part in known), default=0)
    return Learned(vector, version, since_ms, max((part.at_ms for part in known), default=0))
