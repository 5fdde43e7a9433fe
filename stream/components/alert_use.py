"""How many alerts a partition has let fire of late; `stream.alerts.budgets` decides by it."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack

from contracts.key_families import ALERT_USE
from models.alert_threshold import AlertUse, pack_risen, unpack_risen
from stream.components.component import Component
from stream.state.commit import ClaimRead

log = logging.getLogger(__name__)

NAME = "alert_use"
FORMAT = 1


class PartitionUse(NamedTuple):
    """By kind of alert what was used, and the event time up to which it is written."""

    uses: Mapping[str, AlertUse] = {}
    written_ms: int = 0


class AlertUses(Component[PartitionUse, None]):
    """Loads what the partition has used."""

    name = NAME
    reads = (ClaimRead(ALERT_USE, "blob"),)

    def load(self, found: Mapping[str, Any]) -> PartitionUse:
        """See `Component.load`. What cannot be read is counted anew."""
        packed = found.get(ALERT_USE)
        if packed is None:
            return PartitionUse()
        try:
            uses = unpack_use(packed)
        except ValueError as exc:
            log.warning("the alerts counted under %s cannot be read and are counted anew: %s", ALERT_USE, exc)
            return PartitionUse()
        return PartitionUse(uses, max((use.at_ms for use in uses.values()), default=0))

    def size(self, state: PartitionUse) -> int:
        """See `Component.size`."""
        return sum(use.risen.nbytes for use in state.uses.values())


def pack_use(uses: Mapping[str, AlertUse]) -> bytes:
    """The uses as bytes."""
    packed: bytes = msgpack.packb(
        (FORMAT, {kind: (pack_risen(use.risen), *use[1:]) for kind, use in uses.items()})
    )
    return packed


def unpack_use(packed: bytes) -> Mapping[str, AlertUse]:
    """What `pack_use` was given; raises `ValueError`."""
    try:
        form, uses = msgpack.unpackb(packed)
        if form != FORMAT:
            raise ValueError(f"it has format {form}, expected {FORMAT}")
        return {
            str(kind): AlertUse(
                unpack_risen(risen), float(sessions), float(fired), int(hour_ms), float(in_hour),
                int(since_ms), int(at_ms),
            )
            for kind, (risen, sessions, fired, hour_ms, in_hour, since_ms, at_ms) in uses.items()
        }  # fmt: skip
    except ValueError:
        raise
    except Exception as exc:  # msgpack's errors have no common base
        raise ValueError(f"its {len(packed)} bytes cannot be decoded ({type(exc).__name__})") from exc
